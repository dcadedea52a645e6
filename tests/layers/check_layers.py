#!/usr/bin/env python3
"""Checks every #include edge of the tree against the table of who may include whom.

The table is the architecture: a folder may include itself, the folders named for it, and system headers except those
that are fenced to one folder. Exit status 1 names each edge that breaks the law.
"""
import os
import re
import sys

# folder prefix -> folder prefixes (or headers) it may include (the longest matching prefix decides)
MAY_INCLUDE = {
    "dialects": ["dialects"],
    "kernels": ["kernels", "dialects"],
    "compiler/frontend": ["dialects"],
    "compiler/analysis": ["dialects"],
    "compiler/schedule": [],
    "compiler/tune": ["compiler/schedule", "runtime/plan", "runtime/base"],
    "compiler/reference": ["dialects"],
    "compiler/transforms": ["dialects", "kernels", "compiler/analysis", "compiler/schedule"],
    "compiler/conversion": ["dialects", "kernels", "compiler/analysis", "compiler/schedule", "compiler/transforms", "runtime/plan", "runtime/base"],
    "compiler/codegen": ["dialects"],
    "compiler/codegen/host": [],
    "compiler/codegen/store": ["dialects", "runtime/base"],
    "compiler/codegen/cpu": ["dialects", "compiler/codegen/EachKernel.h", "compiler/codegen/host", "compiler/codegen/store"],
    "compiler/codegen/nvidia": ["dialects", "compiler/codegen/EachKernel.h", "compiler/codegen/store", "runtime/base"],
    "compiler/codegen/nvidia/emulated": ["dialects", "compiler/codegen/EachKernel.h", "compiler/codegen/host", "compiler/codegen/nvidia", "compiler/codegen/store"],
    "compiler/pipeline": ["dialects", "compiler"],
    "compiler/driver": ["dialects", "compiler", "runtime/plan", "runtime/base"],
    "runtime/base": [],
    "runtime/plan": ["runtime/base"],
    "runtime/memory": ["runtime/base", "runtime/plan"],
    "runtime/device": ["runtime/base", "runtime/plan", "runtime/memory"],
    "runtime/communicator": ["runtime/base"],
    "runtime/executor": ["runtime/base", "runtime/plan", "runtime/memory", "runtime/device", "runtime/communicator"],
    "runtime/coordinator": ["runtime/base"],
    "trainer": ["trainer", "runtime"],
    "tools/cmake": [],
    "tools/common": [],
    "tools/orielc": ["compiler", "dialects", "runtime/base"],
    "tools/oriel-opt": ["compiler", "dialects", "kernels"],
    "tools/oriel-lsp-server": ["compiler"],
    "tools/oriel-tune": ["tools/common", "compiler/tune", "runtime/base"],
    "tools/oriel": ["tools/common", "trainer", "runtime"],
    "tests": ["dialects", "kernels", "compiler", "runtime", "trainer", "tests"],
}

# system header pattern -> the folders that may include it
FENCED = [
    (r"^(mlir|llvm|lld)/", ["dialects", "kernels", "compiler", "tools/orielc", "tools/oriel-opt", "tools/oriel-lsp-server", "tests"]),
    (r"^grpc(pp|\+\+)?/", ["runtime/coordinator", "tests"]),
    (r"^mpi\.h$", ["runtime/communicator/mpi", "tests"]),
    (r"^(dnnl|oneapi)", ["runtime/device/cpu"]),
    (r"^(cuda|nvrtc|cublas)", ["runtime/device/cuda", "tests"]),
    (r"^hwloc", ["runtime/device/cpu"]),
    (r"^(pcre2|utf8proc)", ["trainer/tokenizer/huggingface"]),
    (r"^nccl", ["runtime/communicator/nccl", "tests"]),
]
# Parts of the compiler that must build without MLIR as well.
NO_MLIR = ["compiler/schedule", "compiler/tune"]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def within(folder, prefixes):
    return any(folder == p or folder.startswith(p + "/") for p in prefixes)


def allowed_for(folder):
    best = max((p for p in MAY_INCLUDE if within(folder, [p])), key=len, default=None)
    return None if best is None else [best] + MAY_INCLUDE[best]


def violations(folder, includes):
    """Yields one message per include line of a file in `folder` that breaks the table."""
    allowed = allowed_for(folder)
    if allowed is None:
        yield f"folder {folder} is not in the table of tests/layers/check_layers.py"
        return
    for kind, target in includes:
        fence = next((f for f in FENCED if re.match(f[0], target)), None)
        if fence:
            if not within(folder, fence[1]):
                yield f"includes {target}, which only {', '.join(fence[1])} may"
            elif fence[0].startswith("^(mlir") and within(folder, NO_MLIR):
                yield f"includes {target}, but {folder} is free of MLIR"
        elif kind == '"' and target.split("/")[0] in {p.split("/")[0] for p in MAY_INCLUDE}:
            if not within(target, allowed):
                yield f"includes {target}, but may only include {', '.join(allowed)}"


def check(root):
    failures, files = [], 0
    for top in sorted({p.split("/")[0] for p in MAY_INCLUDE}):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith((".h", ".cpp", ".td")):
                    path = os.path.join(folder, name)
                    files += 1
                    with open(path, encoding="utf-8") as text:
                        includes = INCLUDE.findall(text.read())
                    rel = os.path.relpath(folder, root)
                    failures += [f"{os.path.relpath(path, root)}: {v}" for v in violations(rel, includes)]
    return failures, files


def self_test():
    cases = [
        ("runtime/executor", [('"', "mlir/IR/Builders.h")], 1),
        ("runtime/executor", [('"', "runtime/plan/Package.h"), ("<", "vector")], 0),
        ("runtime/base", [('"', "trainer/config/Job.h")], 1),
        ("trainer/loop", [("<", "grpcpp/grpcpp.h")], 1),
        ("runtime/communicator", [("<", "mpi.h")], 1),
        ("runtime/communicator/mpi", [("<", "mpi.h")], 0),
        ("compiler/schedule", [('"', "mlir/IR/Builders.h")], 1),
        ("compiler/tune", [('"', "compiler/schedule/Cost.h"), ('"', "mlir/IR/Builders.h")], 1),
        ("compiler/frontend", [('"', "compiler/driver/Compile.h")], 1),
        ("compiler/codegen/cpu", [('"', "compiler/codegen/EachKernel.h"), ('"', "compiler/codegen/host/Link.h")], 0),
        ("compiler/codegen/nvidia/emulated", [('"', "compiler/codegen/cpu/CpuCodegen.h")], 1),
        ("kernels/rope", [('"', "compiler/transforms/Passes.h")], 1),
    ]
    wrong = [c for c in cases if len(list(violations(c[0], c[1]))) != c[2]]
    for case in wrong:
        print("wrong verdict on", case)
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    failures, files = check(sys.argv[1])
    print("\n".join(failures))
    print(f"{files} files, {len(failures)} edges that break the law")
    return 1 if failures else 0


sys.exit(main())
