"""contract_test: tests of the contract, written once and linked with each list of what is under test."""

load("@rules_cc//cc:defs.bzl", "cc_library", "cc_test")

def contract_test(name, deps, size = "small"):
    """NAME.cc as a cc_test of everything in cpu_routers_under_test, and as :NAME_library for the lists of others."""
    cc_library(
        name = name + "_library",
        testonly = True,
        srcs = [name + ".cc"],
        deps = deps,
        alwayslink = True,
    )
    cc_test(
        name = name,
        size = size,
        deps = [
            ":" + name + "_library",
            ":cpu_routers_under_test",
        ],
    )
