// A small valid plan with one step of every kind, for tests that spoil it.
#ifndef ORIEL_TESTS_UNIT_RUNTIME_PLAN_SAMPLEPLAN_H
#define ORIEL_TESTS_UNIT_RUNTIME_PLAN_SAMPLEPLAN_H

#include "runtime/plan/plan.pb.h"

#include "google/protobuf/text_format.h"

namespace oriel::runtime {

/// Two ranks; constants.bin must hold 64 bytes. Buffers: 0 x (io), 1 work (arena), 2 params (state), 3 grads (two
/// slots), 4 table (constant).
inline plan::Plan samplePlan() {
  plan::Plan plan;
  bool parsed = google::protobuf::TextFormat::ParseFromString(R"pb(
    format_version: 1
    target { kind: "cpu" cpu: "any" }
    mesh { name: "fsdp" size: 2 }
    arena_bytes: 4096
    parameter_block: 16
    parameter_elements: 32
    buffers { name: "x" dtype: F32 shape: [ 2, 8 ] bytes: 64 placement: IO }
    buffers { name: "work" dtype: F32 shape: [ 16, 16 ] bytes: 1024 placement: ARENA offset: 3072 }
    buffers { name: "params" dtype: F32 shape: 32 bytes: 128 placement: STATE }
    buffers { name: "grads" dtype: F32 shape: 32 bytes: 256 slot_bytes: 128 placement: STATE }
    buffers { name: "table" dtype: I32 shape: 16 bytes: 64 placement: CONSTANT }
    parameters { name: "w" shape: [ 2, 8 ] offset: 16 init: "zeros" }
    entry_points {
      name: "micro"
      inputs: "x"
      arena_bytes: 4096
      steps { layer: "a" launch { symbol: "k" grid: [ 1, 2, 1 ] args { buffer: 0 } args { buffer: 3 byte_offset: 64 rank_stride: 64 } } }
      steps { layer: "b" gemm { a { buffer: 0 } b { buffer: 2 } c { buffer: 1 } m: 2 n: 4 k: 8 lda: 8 ldb: 4 ldc: 4 dtype: F32 c_dtype: F32 } }
      steps { collective { kind: REDUCE_SCATTER_TREE axis: "fsdp" data { buffer: 3 } scratch { buffer: 1 } count: 16 dtype: F32 } }
      steps { collective { kind: ALL_GATHER axis: "fsdp" data { buffer: 2 } count: 16 dtype: F32 } }
      steps { fill { target { buffer: 1 } bytes: 1024 } }
      steps { copy { source { buffer: 2 byte_offset: 64 } target { buffer: 0 } bytes: 64 } }
    }
  )pb",
                                                              &plan);
  if (!parsed)
    plan.Clear();
  return plan;
}

} // namespace oriel::runtime

#endif
