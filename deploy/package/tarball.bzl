"""The tarball that users install."""

def _tarball_impl(ctx):
    # A folder, for the name of the file in it has the version, which is not known before the action runs.
    folder = ctx.actions.declare_directory(ctx.label.name)
    arguments = ctx.actions.args()
    arguments.add("-B")
    arguments.add(ctx.file._script)
    arguments.add("--version_header", ctx.file.version_header)
    arguments.add("--out", folder.path)
    inputs = [ctx.file._script, ctx.file.version_header] + ctx.files._modules
    for target, place in ctx.attr.files.items():
        files = target.files.to_list()
        arguments.add_all(files, format_each = place + "=%s")
        inputs += files
    ctx.actions.run(
        executable = "/usr/bin/python3",
        arguments = [arguments],
        inputs = inputs,
        outputs = [folder],
        # The libraries that it carries are the machine's, as in every link.
        mnemonic = "Tarball",
        progress_message = "Packing %s" % ctx.label,
        use_default_shell_env = True,
    )
    return DefaultInfo(files = depset([folder]), runfiles = ctx.runfiles(files = [folder]))

tarball = rule(
    implementation = _tarball_impl,
    attrs = {
        "files": attr.label_keyed_string_dict(
            allow_files = True,
            mandatory = True,
            doc = "Folder in the tarball of each file. A name that ends in .in loses that, and the file its @VERSION@.",
        ),
        "version_header": attr.label(
            allow_single_file = True,
            mandatory = True,
            doc = "Where kLibraryVersion is.",
        ),
        "_modules": attr.label_list(
            allow_files = True,
            default = ["elf.py", "licences.py"],
        ),
        "_script": attr.label(
            allow_single_file = True,
            default = "package.py",
        ),
    },
)
