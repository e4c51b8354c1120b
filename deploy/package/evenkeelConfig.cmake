# find_package(evenkeel) gives the target evenkeel::evenkeel. Everything is found from where this file lies, so that the
# tree may stand anywhere.
if(NOT TARGET evenkeel::evenkeel)
  get_filename_component(_evenkeel_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
  add_library(evenkeel::evenkeel SHARED IMPORTED)
  set_target_properties(evenkeel::evenkeel PROPERTIES
    IMPORTED_LOCATION "${_evenkeel_prefix}/lib/libevenkeel.so.1"
    IMPORTED_SONAME libevenkeel.so.1
    INTERFACE_INCLUDE_DIRECTORIES "${_evenkeel_prefix}/include")
  # worker.h is C++17; a project that is all C has no compiler to ask for it.
  if(CMAKE_CXX_COMPILER_LOADED)
    set_target_properties(evenkeel::evenkeel PROPERTIES INTERFACE_COMPILE_FEATURES cxx_std_17)
  endif()
  unset(_evenkeel_prefix)
endif()
