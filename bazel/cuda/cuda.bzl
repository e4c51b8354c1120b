"""@cuda: the CUDA toolkit where the machine has one, and an empty stand-in where it has none.

`CUDA_PATH` (default /usr/local/cuda) names the toolkit; `--repo_env=CUDA_PATH=/nonexistent` builds for the CPU only.
@cuda//:defs.bzl says HAVE_CUDA, HAVE_NCCL and NVCC; @cuda//:runtime is the static runtime, or an empty library.
"""

_BUILD_WITH = """
package(default_visibility = ["//visibility:public"])
cc_library(
    name = "runtime",
    hdrs = glob(["include/**"], allow_empty = True),
    includes = ["include"],
    srcs = ["lib64/libcudart_static.a"],
    linkopts = ["-ldl", "-lpthread", "-lrt"],
)
"""

_BUILD_WITHOUT = """
package(default_visibility = ["//visibility:public"])
cc_library(name = "runtime")
"""

def _cuda_configure_impl(ctx):
    root = ctx.path(ctx.os.environ.get("CUDA_PATH", "/usr/local/cuda"))
    nvcc = root.get_child("bin").get_child("nvcc")
    archive = root.get_child("lib64").get_child("libcudart_static.a")
    have_cuda = nvcc.exists and archive.exists
    have_nccl = have_cuda and root.get_child("include").get_child("nccl.h").exists
    if have_cuda:
        ctx.symlink(root.get_child("include"), "include")
        ctx.symlink(archive, "lib64/libcudart_static.a")
    ctx.file("BUILD", _BUILD_WITH if have_cuda else _BUILD_WITHOUT)
    ctx.file("defs.bzl", 'HAVE_CUDA = %r\nHAVE_NCCL = %r\nNVCC = "%s"\n' % (have_cuda, have_nccl, nvcc if have_cuda else ""))

cuda_configure = repository_rule(
    implementation = _cuda_configure_impl,
    configure = True,
    environ = ["CUDA_PATH"],
    local = True,
)
