// What ThreadSanitizer is told when a program links gRPC, whose shared libraries are not instrumented: it sees gRPC's
// header-only half access what the other half has handed over, and cannot see the handing over. Only races whose
// topmost frame is gRPC's own are left out, what ends a call (CallOnDone, in which ours only deletes itself), what an
// alarm does (it lets a call of a rendezvous expire), and that the cancellation of a call reads what its handler has
// set; a race in a handler of ours is still reported.

#if defined(__SANITIZE_THREAD__)

extern "C" const char* __tsan_default_suppressions() {
  return "race_top:grpc::internal::\n"
         "race_top:grpc::CallbackServerContext\n"
         "race_top:grpc::ServerContextBase\n"
         "race_top:grpc::ServerUnaryReactor\n"
         "race_top:grpc::ServerBidiReactor\n"
         "race_top:grpc::ByteBuffer\n"
         "race:Impl::CallOnDone\n"
         "race:grpc::internal::AlarmImpl::Set\n"
         "race:OnCancel\n"
         "race:grpc::ServerUnaryReactor::InternalBindCall\n"
         "race_top:std::_Function_base\n"
         "race_top:std::swap<\n";
}

#endif
