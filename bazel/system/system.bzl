"""@system: the machine's C and C++ libraries as Bazel targets, found by pkg-config.

Headers are in the compiler's own search path; a target therefore carries link options, and the macros that a library
wants defined, only.
"""

# Target name -> pkg-config modules.
_LIBRARIES = {
    "absl": [
        "absl_flat_hash_map",
        "absl_flat_hash_set",
        "absl_random_random",
        "absl_span",
        "absl_status",
        "absl_statusor",
        "absl_str_format",
        "absl_strings",
        "absl_synchronization",
        "absl_time",
    ],
    "absl_flags": [
        "absl_flags",
        "absl_flags_parse",
        "absl_flags_usage",
    ],
    "benchmark": ["benchmark"],
    "grpc": ["grpc++"],
    "gtest": ["gmock_main"],
    "highway": ["libhwy"],
    "openssl": ["libcrypto"],
    "prometheus": ["prometheus-cpp-core"],
    "protobuf": ["protobuf"],
    "sqlite": ["sqlite3"],
    "xxhash": ["libxxhash"],
    "yaml_cpp": ["yaml-cpp"],
    "zlib": ["zlib"],
}

# Target name -> link options, for packages that bring no pkg-config file.
_LINK_OPTIONS = {
    "civetweb": ["-lcivetweb"],
    "gloo": ["-lgloo"],
    "grpc_admin": ["-lgrpc++_reflection", "-lgrpcpp_channelz"],
}

# For a program that runs where the packages are not: link options that come before those of the libraries and leave
# them nothing to find. static.bzl has them by these names.
_STATIC = {
    "ABSL_STATIC": "absl",
    "GTEST_STATIC": "gtest",
    "PROTOBUF_STATIC": "protobuf",
    "XXHASH_STATIC": "xxhash",
    "YAML_CPP_STATIC": "yaml_cpp",
}

_OF_THE_SYSTEM = ["-latomic", "-lm", "-lpthread", "-lrt", "-lz"]

_TOOLS = ["protoc", "grpc_cpp_plugin"]

_HINT = "run deploy/setup.sh, which installs what the build needs"

def _ask(ctx, pkg_config, question, modules):
    result = ctx.execute([pkg_config, question] + modules)
    if result.return_code != 0:
        fail("pkg-config does not know %s; %s\n%s" % (" ".join(modules), _HINT, result.stderr))
    return [word for word in result.stdout.strip().split(" ") if word]

def _cc_library(name, link_options, defines):
    return "cc_library(name = %r, linkopts = %r, defines = %r)" % (name, ["-Wl,--as-needed"] + link_options, defines)

def _system_libraries_impl(ctx):
    pkg_config = ctx.which("pkg-config")
    if not pkg_config:
        fail("pkg-config is not installed; " + _HINT)
    lines = ['package(default_visibility = ["//visibility:public"])']
    for name, options in _LINK_OPTIONS.items():
        lines.append(_cc_library(name, options, []))
    for name, modules in _LIBRARIES.items():
        defines = [word[2:] for word in _ask(ctx, pkg_config, "--cflags-only-other", modules) if word.startswith("-D")]
        lines.append(_cc_library(name, _ask(ctx, pkg_config, "--libs", modules), defines))
    ctx.file("BUILD", "\n".join(lines) + "\n")

    # An archive in place of each library; what is no library of the package's is the C library's, or not needed.
    static = []
    for name, library in _STATIC.items():
        words = _ask(ctx, pkg_config, "--libs", _LIBRARIES[library])
        own = [word[2:] for word in words if word.startswith("-l") and word not in _OF_THE_SYSTEM]
        static.append("%s = %r\n" % (name, ["-l:lib%s.a" % library for library in own]))
    ctx.file("static.bzl", "".join(static))

    # Tools are named by absolute path, so that the caller's PATH is no hidden input of the build.
    tools = {}
    for tool in _TOOLS:
        path = ctx.which(tool)
        if not path:
            fail("%s is not installed; %s" % (tool, _HINT))
        tools[tool] = str(path)
    ctx.file("tools.bzl", "".join(['%s = "%s"\n' % (tool.upper(), path) for tool, path in tools.items()]))

system_libraries = repository_rule(
    implementation = _system_libraries_impl,
    configure = True,
    local = True,
)
