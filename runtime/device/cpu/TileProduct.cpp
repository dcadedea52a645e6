// oneDNN throws while it prepares; every throw is turned into a status here.
#include "runtime/device/cpu/TileProduct.h"

#include "runtime/base/Status.h"

#include "absl/strings/str_cat.h"

#include <array>

namespace oriel::runtime {

using dnnl::memory;

namespace {

memory::data_type toDnnl(DType dtype) {
  return dtype == DType::BF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

/// A row-major matrix [rows, columns] seen, on request, as its transpose.
memory::desc matrixDesc(int64_t rows, int64_t columns, int64_t leading, bool transposed, DType dtype) {
  memory::dims strides = transposed ? memory::dims{1, leading} : memory::dims{leading, 1};
  return memory::desc({rows, columns}, toDnnl(dtype), strides);
}

} // namespace

std::string describe(const GemmSpec &spec) {
  return absl::StrCat(nameOf(spec.dtype), spec.transposeA ? " T" : " N", spec.transposeB ? "T " : "N ", spec.m, "x",
                      spec.n, "x", spec.k, " ld ", spec.lda, ",", spec.ldb, ",", spec.ldc, " beta ", spec.beta, " to ",
                      nameOf(spec.cDType));
}

bool TileProduct::isPaired(const GemmSpec &spec) {
  static const bool multipliesPairs = dnnl::get_effective_cpu_isa() == dnnl::cpu_isa::avx512_core_bf16;
  return multipliesPairs && PairedTile::takes(spec);
}

absl::StatusOr<TileProduct> TileProduct::create(const GemmSpec &spec, const dnnl::engine &engine, int threads) {
  if (isPaired(spec)) {
    TileProduct product;
    product.paired_ = PairedTile(spec);
    product.scratchBytes_ = product.paired_->scratchBytes();
    return product;
  }
  try {
    OneThread guard;
    auto a = matrixDesc(spec.m, spec.k, spec.lda, spec.transposeA, spec.dtype);
    auto b = matrixDesc(spec.k, spec.n, spec.ldb, spec.transposeB, spec.dtype);
    auto c = matrixDesc(spec.m, spec.n, spec.ldc, false, spec.cDType);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (spec.beta != 0) {
      dnnl::post_ops accumulate;
      accumulate.append_sum(spec.beta);
      attributes.set_post_ops(accumulate);
    }
    dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes, engine);
    TileProduct product;
    product.primitive_ = dnnl::matmul(description);
    product.scratchBytes_ = description.scratchpad_desc().get_size();
    auto handle = [&](const memory::desc &desc) { return memory(desc, engine, DNNL_MEMORY_NONE); };
    for (int thread = 0; thread < threads; ++thread)
      product.handles_.push_back({handle(a), handle(b), handle(c), handle(description.scratchpad_desc())});
    return product;
  } catch (const dnnl::error &error) {
    if (error.status == dnnl_unimplemented && spec.dtype == DType::BF16) {
      WidenedTile widened(spec);
      ORIEL_ASSIGN_OR_RETURN(TileProduct product, create(widened.spec(), engine, threads));
      product.widened_ = widened;
      return product;
    }
    return absl::InternalError(absl::StrCat("oneDNN cannot prepare gemm ", describe(spec), ": ", error.message));
  }
}

bool TileProduct::run(int thread, const dnnl::stream &stream, const PairedTile::Operands &operands, void *c,
                      const PairedTile::Operands &next, PairedTile::Scratch &scratch) const {
  auto [a, b] = operands;
  if (paired_) {
    paired_->run(operands, c, next, scratch);
    return true;
  }
  scratch.packedB = nullptr; // it is written over
  if (!widened_)
    return execute(thread, stream, a, b, c, scratch.at);
  void *copies = static_cast<std::byte *>(scratch.at) + (scratchBytes_ + 63) / 64 * 64;
  WidenedTile::Operands wide = widened_->fill(a, b, c, copies);
  bool ok = execute(thread, stream, wide.a, wide.b, wide.c, scratch.at);
  widened_->finish(wide, c);
  return ok;
}

bool TileProduct::execute(int thread, const dnnl::stream &stream, const void *a, const void *b, void *c,
                          void *scratch) const {
  const Handles &handles = handles_[static_cast<size_t>(thread)];
  auto point = [](const memory &handle, const void *data) {
    return dnnl_memory_set_data_handle(handle.get(), const_cast<void *>(data)) == dnnl_success;
  };
  if (!point(handles.a, a) || !point(handles.b, b) || !point(handles.c, c) || !point(handles.scratch, scratch))
    return false;
  // The C interface: the C++ one would build a map and a vector for each execution.
  std::array<dnnl_exec_arg_t, 4> arguments = {{{DNNL_ARG_SRC, handles.a.get()},
                                               {DNNL_ARG_WEIGHTS, handles.b.get()},
                                               {DNNL_ARG_DST, handles.c.get()},
                                               {DNNL_ARG_SCRATCHPAD, handles.scratch.get()}}};
  return dnnl_primitive_execute(primitive_.get(), stream.get(), static_cast<int>(arguments.size()), arguments.data()) ==
         dnnl_success;
}

} // namespace oriel::runtime
