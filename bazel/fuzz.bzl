"""Fuzz targets, each of which is a test as well."""

def fuzz_target(name, srcs, deps, runs = 3000, data = [], **kwargs):
    """The libFuzzer target `name`, which is built with --config=fuzz and run by ./test.sh --fuzz, and the test
    `name`_test, which runs it on the inputs that are kept in testdata/`name` and on `runs` that follow from a seed.
    """
    kept = native.glob(["testdata/" + name + "/*"])
    native.cc_library(
        name = name + "_code",
        testonly = True,
        srcs = srcs,
        alwayslink = True,
        deps = deps,
    )
    native.cc_binary(
        name = name,
        testonly = True,
        data = data,
        linkopts = ["-fsanitize=fuzzer"],
        tags = [
            "fuzz",
            "manual",
        ],
        deps = [name + "_code"],
    )
    native.cc_test(
        name = name + "_test",
        args = [
            native.package_name() + "/testdata/" + name,
            str(runs),
        ],
        data = data + kept,
        deps = [
            name + "_code",
            "//base:fuzz_replay",
        ],
        **kwargs
    )
