// oneDNN throws; every throw is turned into a status here.
#include "runtime/device/cpu/CpuGemm.h"

#include "runtime/base/Status.h"
#include "runtime/device/cpu/CpuMemory.h"

#include "absl/strings/str_cat.h"

#include <array>

namespace oriel::runtime {

using dnnl::memory;

static memory::data_type toDnnl(DType dtype) {
  return dtype == DType::BF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

/// A row-major matrix [rows, columns] seen, on request, as its transpose.
static memory::desc matrixDesc(int64_t rows, int64_t columns, int64_t leading, bool transposed, DType dtype) {
  memory::dims strides = transposed ? memory::dims{1, leading} : memory::dims{leading, 1};
  return memory::desc({rows, columns}, toDnnl(dtype), strides);
}

static std::string describe(const GemmSpec &spec) {
  return absl::StrCat(nameOf(spec.dtype), spec.transposeA ? " T" : " N", spec.transposeB ? "T " : "N ", spec.m, "x",
                      spec.n, "x", spec.k, " ld ", spec.lda, ",", spec.ldb, ",", spec.ldc, " beta ", spec.beta, " to ",
                      nameOf(spec.cDType));
}

absl::StatusOr<std::shared_ptr<CpuGemm>> CpuGemm::create(const GemmSpec &spec, const dnnl::engine &engine) {
  try {
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
    auto gemm = std::make_shared<CpuGemm>();
    gemm->primitive_ = dnnl::matmul(description);
    gemm->a_ = memory(a, engine, DNNL_MEMORY_NONE);
    gemm->b_ = memory(b, engine, DNNL_MEMORY_NONE);
    gemm->c_ = memory(c, engine, DNNL_MEMORY_NONE);
    gemm->scratch_ = memory(description.scratchpad_desc(), engine, DNNL_MEMORY_NONE);
    gemm->scratchBytes_ = description.scratchpad_desc().get_size();
    return gemm;
  } catch (const dnnl::error &error) {
    return absl::InternalError(absl::StrCat("oneDNN cannot prepare gemm ", describe(spec), ": ", error.message));
  }
}

absl::Status CpuGemm::run(const dnnl::stream &stream, const void *a, const void *b, void *c, void *scratch) {
  // The C interface: the C++ one would build a map and a vector for each execution.
  std::array<dnnl_exec_arg_t, 4> arguments = {{{DNNL_ARG_SRC, a_.get()},
                                               {DNNL_ARG_WEIGHTS, b_.get()},
                                               {DNNL_ARG_DST, c_.get()},
                                               {DNNL_ARG_SCRATCHPAD, scratch_.get()}}};
  bool ok = dnnl_memory_set_data_handle(a_.get(), const_cast<void *>(a)) == dnnl_success &&
            dnnl_memory_set_data_handle(b_.get(), const_cast<void *>(b)) == dnnl_success &&
            dnnl_memory_set_data_handle(c_.get(), c) == dnnl_success &&
            dnnl_memory_set_data_handle(scratch_.get(), scratch) == dnnl_success;
  int count = static_cast<int>(arguments.size());
  if (!ok || dnnl_primitive_execute(primitive_.get(), stream.get(), count, arguments.data()) != dnnl_success)
    return absl::InternalError("oneDNN could not run a matrix product");
  return absl::OkStatus();
}

CpuGemmLibrary::CpuGemmLibrary() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {}

absl::StatusOr<std::shared_ptr<CpuGemm>> CpuGemmLibrary::prepare(const GemmSpec &spec) {
  std::shared_ptr<CpuGemm> &cached = cache_[describe(spec)];
  if (cached)
    return cached;
  ORIEL_ASSIGN_OR_RETURN(std::shared_ptr<CpuGemm> gemm, CpuGemm::create(spec, engine_));
  if (!scratch_ || scratch_->bytes() < gemm->scratchBytes()) {
    ORIEL_ASSIGN_OR_RETURN(scratch_, allocateCpuMemory(gemm->scratchBytes()));
  }
  cached = gemm;
  return gemm;
}

absl::Status CpuGemmLibrary::run(CpuGemm &gemm, const void *a, const void *b, void *c) {
  return gemm.run(stream_, a, b, c, scratch_->data());
}

} // namespace oriel::runtime
