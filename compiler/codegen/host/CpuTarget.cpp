// Finds the host's extensions through LLVM and keeps those that the generated code uses.
#include "compiler/codegen/host/CpuTarget.h"

#include <algorithm>

#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

namespace oriel::codegen {

static const std::vector<std::string> avx2Features = {"avx2", "fma", "bmi", "bmi2"};
static const std::vector<std::string> avx512Features = {"avx2",    "fma",      "bmi",      "bmi2",
                                                        "avx512f", "avx512bw", "avx512dq", "avx512vl"};

CpuTarget CpuTarget::host() {
  llvm::StringMap<bool> present = llvm::sys::getHostCPUFeatures();
  auto hasAll = [&](const std::vector<std::string> &wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&](const std::string &name) { return present.lookup(name); });
  };
  std::string cpu = llvm::sys::getHostCPUName().str();
  if (hasAll(avx512Features)) {
    CpuTarget target{cpu, avx512Features};
    if (present.lookup("avx512bf16"))
      target.features.push_back("avx512bf16");
    return target;
  }
  if (hasAll(avx2Features))
    return {cpu, avx2Features};
  return baseline();
}

CpuTarget CpuTarget::avx2() { return {"haswell", avx2Features}; }

CpuTarget CpuTarget::baseline() { return {"x86-64", {}}; }

bool CpuTarget::has(std::string_view feature) const {
  return std::find(features.begin(), features.end(), feature) != features.end();
}

int64_t CpuTarget::lanes() const { return has("avx512f") ? 16 : has("avx2") ? 8 : 4; }

} // namespace oriel::codegen
