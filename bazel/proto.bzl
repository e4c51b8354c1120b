"""C++ code from .proto files by the machine's own protoc, as cc_library targets."""

load("@system//:tools.bzl", "GRPC_CPP_PLUGIN", "PROTOC")

def _generated_library(name, srcs, suffix, root, command, deps, visibility):
    outs = [src[:-len(".proto")] + suffix + kind for src in srcs for kind in [".h", ".cc"]]
    native.genrule(
        name = name + "_code",
        srcs = native.glob(["**/*.proto"]),
        outs = outs,
        cmd = command + " " + " ".join(["$(location %s)" % src for src in srcs]),
        message = "Generating protocol code",
    )
    native.cc_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".cc")],
        hdrs = [out for out in outs if out.endswith(".h")],
        copts = ["-w"],
        strip_include_prefix = "/" + root,
        visibility = visibility,
        deps = deps,
    )

def cc_message_library(name, srcs, root, visibility = None):
    """The messages of `srcs`: .proto files of this package, imported relative to `root`, a folder of the workspace."""
    _generated_library(
        name,
        srcs,
        ".pb",
        root,
        "%s -I%s --cpp_out=$(GENDIR)/%s" % (PROTOC, root, root),
        ["@system//:protobuf"],
        visibility,
    )

def cc_service_library(name, srcs, root, messages, visibility = None):
    """The gRPC stubs of the services in `srcs`, whose messages are in the target `messages`."""
    _generated_library(
        name,
        srcs,
        ".grpc.pb",
        root,
        "%s -I%s --grpc_out=$(GENDIR)/%s --plugin=protoc-gen-grpc=%s" % (PROTOC, root, root, GRPC_CPP_PLUGIN),
        [messages, "@system//:grpc"],
        visibility,
    )
