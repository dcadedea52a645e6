// What every program of the asan and tsan presets tells the sanitizers; linked into tools and tests by
// OrielTargets.cmake. The environment (ASAN_OPTIONS …) adds to it and wins.
//
// LLVM, MLIR, gRPC and Open MPI come as uninstrumented shared libraries, which sets the limits: memory that their
// inline allocators hand out must not count as poisoned, and what they leak at exit is theirs. Generated kernels are
// not instrumented either: the numerics tests run them between borders of NaN (tests/support/kernels/KernelRunner.h).
extern "C" {

/// llvm::BumpPtrAllocator poisons a new slab in whichever copy of its inline code runs, ours or libLLVM's, and only
/// ours marks each allocation as usable again.
const char *__asan_default_options() {
  return "allow_user_poisoning=0:detect_container_overflow=0:strict_string_checks=1";
}

const char *__ubsan_default_options() { return "print_stacktrace=1"; }

const char *__lsan_default_suppressions() {
  return "leak:libLLVM\n"
         "leak:libMLIR\n"
         "leak:libopen-pal\n"
         "leak:libopen-rte\n"
         "leak:libmpi\n"
         "leak:libpmix\n"
         "leak:libucs\n"
         "leak:libhwloc\n"
         "leak:/mca_\n"
         "leak:vasprintf\n"; // theirs too, by callers without frame pointers
}

/// Open MPI unloads its components in MPI_Finalize, and a leak inside an unloaded library has no name to suppress it
/// by.
int dlclose(void *) { return 0; }
}
