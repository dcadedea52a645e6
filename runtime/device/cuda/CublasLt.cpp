// cuBLASLt multiplies column-major matrices. A row-major matrix is its transpose in column-major order, and
// cᵀ = op(b)ᵀ·op(a)ᵀ: so the operands are exchanged and nothing is copied.
//
// Algorithms are chosen once per shape: one for operands at multiples of 16 bytes, one for any; without being told, the
// library counts on multiples of 256. Split sums are reduced in f32 and in a fixed order, so that a product gives the
// same bits every time.
#include "runtime/device/cuda/CublasLt.h"

#include "runtime/base/Status.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <array>
#include <dlfcn.h>

namespace oriel::runtime::cuda {

namespace {

// The library's types and numbers (cublasLt.h of CUDA 12 and 13), declared here so that a build needs no CUDA headers.
using Status = int;
using Handle = void *;
using MatmulDesc = void *;
using Layout = void *;
using Preference = void *;
constexpr int real32 = 0, realBf16 = 14;
constexpr int compute32 = 68; // with f32 operands: no tf32
constexpr int descTransposeA = 3, descTransposeB = 4;
constexpr int preferWorkspaceBytes = 1, preferReductions = 3, preferAlignmentOfA = 5, preferAlignmentOfD = 8;
constexpr uint32_t vectorBytes = 16;
constexpr uint32_t reduceInComputeType = 2;
struct Algorithm {
  uint64_t data[8];
};
struct HeuristicResult {
  Algorithm algorithm;
  size_t workspaceBytes;
  Status state;
  float waves;
  int reserved[4];
};

struct Library {
  Status (*create)(Handle *);
  Status (*destroy)(Handle);
  const char *(*statusString)(Status);
  Status (*descCreate)(MatmulDesc *, int computeType, int scaleType);
  Status (*descDestroy)(MatmulDesc);
  Status (*descSet)(MatmulDesc, int attribute, const void *, size_t bytes);
  Status (*layoutCreate)(Layout *, int type, uint64_t rows, uint64_t columns, int64_t leading);
  Status (*layoutDestroy)(Layout);
  Status (*preferenceCreate)(Preference *);
  Status (*preferenceDestroy)(Preference);
  Status (*preferenceSet)(Preference, int attribute, const void *, size_t bytes);
  Status (*heuristic)(Handle, MatmulDesc, Layout a, Layout b, Layout c, Layout d, Preference, int wanted,
                      HeuristicResult *, int *found);
  Status (*matmul)(Handle, MatmulDesc, const void *alpha, const void *a, Layout, const void *b, Layout,
                   const void *beta, const void *c, Layout, void *d, Layout, const Algorithm *, void *workspace,
                   size_t workspaceBytes, Stream);
};

template <typename F> bool find(void *library, F *&function, const char *name) {
  function = reinterpret_cast<F *>(::dlsym(library, name));
  return function;
}

bool findAll(void *from, Library &l) {
  return find(from, l.create, "cublasLtCreate") && find(from, l.destroy, "cublasLtDestroy") &&
         find(from, l.statusString, "cublasLtGetStatusString") &&
         find(from, l.descCreate, "cublasLtMatmulDescCreate") &&
         find(from, l.descDestroy, "cublasLtMatmulDescDestroy") &&
         find(from, l.descSet, "cublasLtMatmulDescSetAttribute") &&
         find(from, l.layoutCreate, "cublasLtMatrixLayoutCreate") &&
         find(from, l.layoutDestroy, "cublasLtMatrixLayoutDestroy") &&
         find(from, l.preferenceCreate, "cublasLtMatmulPreferenceCreate") &&
         find(from, l.preferenceDestroy, "cublasLtMatmulPreferenceDestroy") &&
         find(from, l.preferenceSet, "cublasLtMatmulPreferenceSetAttribute") &&
         find(from, l.heuristic, "cublasLtMatmulAlgoGetHeuristic") && find(from, l.matmul, "cublasLtMatmul");
}

struct Started {
  Library library;
  Handle handle;
};

/// The newest version that is installed and starts: one that is newer than the driver does not.
absl::StatusOr<Started> startLibrary() {
  absl::Status failed =
      absl::NotFoundError("no cuBLASLt found (libcublasLt.so.13 or libcublasLt.so.12): install CUDA's "
                          "libcublas, or name its folder in LD_LIBRARY_PATH");
  for (const char *name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
    Started started = {};
    void *opened = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!opened || !findAll(opened, started.library))
      continue;
    Status status = started.library.create(&started.handle);
    if (status == 0)
      return started;
    failed = absl::InternalError(absl::StrCat(name, " does not start: ", started.library.statusString(status),
                                              "; is it newer than the driver?"));
  }
  return failed;
}

struct Choice {
  Algorithm algorithm = {};
  size_t workspaceBytes = 0;
};

class Product final : public PreparedGemm {
public:
  explicit Product(const Library &library) : library_(library) {}
  ~Product() override {
    for (Layout layout : {a, b, c})
      if (layout)
        library_.layoutDestroy(layout);
    if (desc)
      library_.descDestroy(desc);
  }
  MatmulDesc desc = nullptr;
  Layout a = nullptr, b = nullptr, c = nullptr; // as cuBLASLt sees them
  Choice aligned, any;                          // operands at multiples of vectorBytes; or of their elements
  float beta = 0;

private:
  const Library &library_;
};

class CublasLt final : public MatrixProducts {
public:
  CublasLt(const Driver &driver, const Library &library, Handle handle, Address workspace)
      : driver_(driver), library_(library), handle_(handle), workspace_(workspace) {}
  ~CublasLt() override {
    library_.destroy(handle_);
    driver_.memFree(workspace_);
  }

  absl::StatusOr<std::shared_ptr<PreparedGemm>> prepare(const GemmSpec &spec) override;
  absl::Status run(const PreparedGemm &gemm, const void *a, const void *b, void *c, Stream stream) override;

  static constexpr size_t workspaceBytes = size_t(32) << 20;

private:
  absl::Status check(Status status, absl::string_view what) const {
    return status == 0 ? absl::OkStatus()
                       : absl::InternalError(absl::StrCat(what, ": ", library_.statusString(status)));
  }
  absl::Status describe(const GemmSpec &spec, Product &product) const;
  absl::StatusOr<Choice> chooseAlgorithm(const Product &product, uint32_t alignment) const;

  const Driver &driver_;
  Library library_;
  Handle handle_;
  Address workspace_; // of one product at a time: they run in one stream
};

absl::Status CublasLt::describe(const GemmSpec &s, Product &product) const {
  int type = s.dtype == DType::BF16 ? realBf16 : real32, cType = s.cDType == DType::BF16 ? realBf16 : real32;
  ORIEL_RETURN_IF_ERROR(check(library_.descCreate(&product.desc, compute32, real32), "cublasLtMatmulDescCreate"));
  int32_t transposeFirst = s.transposeB, transposeSecond = s.transposeA; // CUBLAS_OP_N, CUBLAS_OP_T
  ORIEL_RETURN_IF_ERROR(check(library_.descSet(product.desc, descTransposeA, &transposeFirst, sizeof(int32_t)),
                              "cublasLtMatmulDescSetAttribute"));
  ORIEL_RETURN_IF_ERROR(check(library_.descSet(product.desc, descTransposeB, &transposeSecond, sizeof(int32_t)),
                              "cublasLtMatmulDescSetAttribute"));
  auto layout = [&](Layout &into, int type, int64_t rows, int64_t columns, int64_t leading) {
    return check(
        library_.layoutCreate(&into, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), leading),
        "cublasLtMatrixLayoutCreate");
  };
  ORIEL_RETURN_IF_ERROR(layout(product.a, type, s.transposeB ? s.k : s.n, s.transposeB ? s.n : s.k, s.ldb));
  ORIEL_RETURN_IF_ERROR(layout(product.b, type, s.transposeA ? s.m : s.k, s.transposeA ? s.k : s.m, s.lda));
  ORIEL_RETURN_IF_ERROR(layout(product.c, cType, s.n, s.m, s.ldc));
  product.beta = s.beta;
  return absl::OkStatus();
}

absl::StatusOr<Choice> CublasLt::chooseAlgorithm(const Product &product, uint32_t alignment) const {
  Preference preference = nullptr;
  ORIEL_RETURN_IF_ERROR(check(library_.preferenceCreate(&preference), "cublasLtMatmulPreferenceCreate"));
  uint64_t bytes = workspaceBytes;
  HeuristicResult result = {};
  int found = 0;
  Status status = library_.preferenceSet(preference, preferWorkspaceBytes, &bytes, sizeof bytes);
  if (status == 0)
    status = library_.preferenceSet(preference, preferReductions, &reduceInComputeType, sizeof reduceInComputeType);
  for (int operand = preferAlignmentOfA; operand <= preferAlignmentOfD && status == 0; ++operand)
    status = library_.preferenceSet(preference, operand, &alignment, sizeof alignment);
  if (status == 0)
    status = library_.heuristic(handle_, product.desc, product.a, product.b, product.c, product.c, preference, 1,
                                &result, &found);
  library_.preferenceDestroy(preference);
  ORIEL_RETURN_IF_ERROR(check(status, "cublasLtMatmulAlgoGetHeuristic"));
  if (found == 0)
    return absl::UnimplementedError("cuBLASLt has no algorithm for it");
  return Choice{result.algorithm, result.workspaceBytes};
}

absl::StatusOr<std::shared_ptr<PreparedGemm>> CublasLt::prepare(const GemmSpec &spec) {
  auto product = std::make_shared<Product>(library_);
  std::string name = absl::StrCat("product ", spec.m, "x", spec.n, "x", spec.k);
  ORIEL_RETURN_IF_ERROR(withContext(describe(spec, *product), name));
  absl::StatusOr<Choice> aligned = chooseAlgorithm(*product, vectorBytes);
  ORIEL_RETURN_IF_ERROR(withContext(aligned.status(), name));
  absl::StatusOr<Choice> any =
      chooseAlgorithm(*product, static_cast<uint32_t>(std::min(bytesOf(spec.dtype), bytesOf(spec.cDType))));
  ORIEL_RETURN_IF_ERROR(withContext(any.status(), name));
  product->aligned = *aligned;
  product->any = *any;
  return std::shared_ptr<PreparedGemm>(std::move(product));
}

absl::Status CublasLt::run(const PreparedGemm &gemm, const void *a, const void *b, void *c, Stream stream) {
  const auto &product = static_cast<const Product &>(gemm);
  const float alpha = 1;
  uintptr_t bits = reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) | reinterpret_cast<uintptr_t>(c);
  const Choice &choice = bits % vectorBytes == 0 ? product.aligned : product.any;
  return check(library_.matmul(handle_, product.desc, &alpha, b, product.a, a, product.b, &product.beta, c, product.c,
                               c, product.c, &choice.algorithm, reinterpret_cast<void *>(workspace_),
                               choice.workspaceBytes, stream),
               "cublasLtMatmul");
}

} // namespace

absl::StatusOr<std::unique_ptr<MatrixProducts>> createCublasLt(const Driver &driver) {
  ORIEL_ASSIGN_OR_RETURN(Started started, startLibrary());
  Address workspace = 0;
  ORIEL_RETURN_IF_ERROR(
      cuda::check(driver, driver.memAlloc(&workspace, CublasLt::workspaceBytes), "workspace of cuBLASLt"));
  return std::make_unique<CublasLt>(driver, started.library, started.handle, workspace);
}

} // namespace oriel::runtime::cuda
