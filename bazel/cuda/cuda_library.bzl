"""cuda_library: a cc_library some of whose sources nvcc compiles, and none where the machine has no CUDA."""

load("@cuda//:defs.bzl", "HAVE_CUDA", "NVCC")
load("@rules_cc//cc:defs.bzl", "cc_library")

# As the C++ of .bazelrc: optimised, and floating point never contracted. ptxas says what each kernel uses.
_NVCC_OPTIONS = [
    "-std=c++17",
    "-O3",
    "--fmad=false",
    "-Xcompiler=-fPIC,-ffp-contract=off,-fvisibility-inlines-hidden",
    "-Xptxas=-v",
    "--Werror=all-warnings",
]

def _architecture(number, code):
    return "-gencode=arch=compute_%d,code=%s" % (number, code)

# What --config=cuda_release builds; else Hopper alone, which compiles in a quarter of the time.
_HOPPER = [_architecture(90, "sm_90")]
_RELEASE = [_architecture(number, "sm_%d" % number) for number in [80, 90, 100, 120]] + [
    _architecture(120, "compute_120"),
]

def _cuda_archive_impl(ctx):
    headers = [dep[CcInfo].compilation_context for dep in ctx.attr.deps]
    includes = ["."] + [path for context in headers for path in context.includes.to_list()]
    system_includes = [path for context in headers for path in context.system_includes.to_list()]

    nvcc = [NVCC, "-lib"] + _NVCC_OPTIONS + ctx.attr.architectures
    nvcc += ["-I" + path for path in includes] + ["-isystem=" + path for path in system_includes]
    nvcc += [source.path for source in ctx.files.srcs] + ["-o", ctx.outputs.archive.path]

    ctx.actions.run_shell(
        outputs = [ctx.outputs.archive, ctx.outputs.resources],
        inputs = depset(ctx.files.srcs + ctx.files.hdrs, transitive = [context.headers for context in headers]),
        command = '"$@" >%s 2>&1 || { cat %s; exit 1; }' % (ctx.outputs.resources.path, ctx.outputs.resources.path),
        arguments = nvcc,
        env = {"PATH": "/usr/bin:/bin"},
        mnemonic = "CudaCompile",
        progress_message = "Compiling CUDA of %s" % ctx.label,
    )

_cuda_archive = rule(
    implementation = _cuda_archive_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".cu"]),
        "hdrs": attr.label_list(allow_files = True),
        "deps": attr.label_list(providers = [CcInfo]),
        "architectures": attr.string_list(),
        "archive": attr.output(),
        "resources": attr.output(),
    },
)

def cuda_library(name, cuda_srcs, cuda_hdrs = [], hdrs = [], deps = [], testonly = False, visibility = None):
    """A library of host functions that launch kernels.

    Who depends on it sees EVENKEEL_HAVE_CUDA: 1, or 0 where there is no CUDA and the library has headers but no code.
    NAME.resources.txt, where there is CUDA, is what ptxas says of each kernel: registers, spills, shared memory.

    Args:
      name: of the cc_library.
      cuda_srcs: .cu files, compiled by nvcc; each is a unit of its own (no device code is linked across them).
      cuda_hdrs: headers that only cuda_srcs include.
      hdrs: headers for everybody, which must not need CUDA's.
      deps: cc_library targets that the sources and headers include and need.
      testonly: as ever.
      visibility: as ever.
    """
    if HAVE_CUDA:
        _cuda_archive(
            name = name + ".cuda",
            srcs = cuda_srcs,
            hdrs = cuda_hdrs + hdrs,
            deps = deps,
            architectures = select({
                "//bazel/cuda:release": _RELEASE,
                "//conditions:default": _HOPPER,
            }),
            archive = name + ".cuda.a",
            resources = name + ".resources.txt",
            testonly = testonly,
            visibility = ["//visibility:private"],
        )
    cc_library(
        name = name,
        srcs = [name + ".cuda.a"] if HAVE_CUDA else [],
        hdrs = hdrs,
        defines = ["EVENKEEL_HAVE_CUDA=%d" % (1 if HAVE_CUDA else 0)],
        testonly = testonly,
        visibility = visibility,
        deps = deps + ["@cuda//:runtime"],
    )
