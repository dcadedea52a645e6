#include "compiler/codegen/nvidia/WarpgroupInstruction.h"
#include "llvm/ADT/Twine.h"

using llvm::StringRef;

namespace oriel::codegen::nvidia {

static constexpr StringRef multiply = "wgmma.mma_async.sync.aligned.m64n", wait = "wgmma.wait_group.sync.aligned ";

/// "$first, $first+1, …"
static std::string operands(int64_t first, int64_t count) {
  std::string list;
  for (int64_t i = first; i < first + count; ++i)
    list += (i == first ? "$" : ", $") + std::to_string(i);
  return list;
}

/// Results, and operands tied to them.
static std::string accumulatorConstraints(int64_t registers, bool areRead) {
  std::string list;
  for (int64_t i = 0; i < registers; ++i)
    list += i == 0 ? "=f" : ",=f";
  for (int64_t i = 0; areRead && i < registers; ++i)
    list += "," + std::to_string(i);
  return list;
}

std::string WarpgroupInstruction::text() const {
  int64_t next = accumulates ? 2 * registers() : registers();
  int64_t ofFirst = isFirstInRegisters ? 4 : 1;
  std::string first = isFirstInRegisters ? "{" + operands(next, ofFirst) + "}" : operands(next, ofFirst);
  std::string transposes = std::string(isSecondByK ? "1" : "0");
  if (!isFirstInRegisters)
    transposes = std::string(isFirstByK ? "1" : "0") + ", " + transposes;
  return "{ .reg .pred accumulates; setp.ne.b32 accumulates, " + std::string(accumulates ? "1" : "0") + ", 0; " +
         multiply.str() + std::to_string(n) + "k16.f32.bf16.bf16 {" + operands(0, registers()) + "}, " + first + ", " +
         operands(next + ofFirst, 1) + ", accumulates, 1, 1, " + transposes + "; }";
}

std::string WarpgroupInstruction::constraints() const {
  return accumulatorConstraints(registers(), accumulates) + (isFirstInRegisters ? ",r,r,r,r,l" : ",l,l") + ",~{memory}";
}

/// Of the few instructions that text() writes for one n, the one whose text this is.
std::optional<WarpgroupInstruction> WarpgroupInstruction::parse(StringRef text) {
  size_t at = text.find(multiply);
  WarpgroupInstruction found;
  if (at == StringRef::npos || text.substr(at + multiply.size()).consumeInteger(10, found.n) || found.n < 8 ||
      found.n > 256 || found.n % 8 != 0)
    return std::nullopt;
  for (unsigned choice = 0; choice < 16; ++choice) {
    found.isFirstInRegisters = choice & 1, found.accumulates = choice & 2;
    found.isFirstByK = choice & 4, found.isSecondByK = choice & 8;
    if (!(found.isFirstInRegisters && found.isFirstByK) && found.text() == text)
      return found;
  }
  return std::nullopt;
}

std::string WarpgroupWait::text() const { return wait.str() + std::to_string(inFlight) + ";"; }

std::string WarpgroupWait::constraints() const { return accumulatorConstraints(registers, true) + ",~{memory}"; }

std::optional<WarpgroupWait> WarpgroupWait::parse(StringRef text, int64_t registers) {
  WarpgroupWait found{0, registers};
  if (!text.consume_front(wait) || text.consumeInteger(10, found.inFlight) || text != ";")
    return std::nullopt;
  return found;
}

uint64_t MatrixDescriptor::bits() const {
  uint64_t mode = swizzleBytes == 128 ? 1 : swizzleBytes == 64 ? 2 : 3;
  return uint64_t(leadingBytes) >> 4 << 16 | uint64_t(strideBytes) >> 4 << 32 | mode << 62;
}

int64_t swizzleFor(int64_t rowBytes) { return rowBytes % 128 == 0 ? 128 : rowBytes % 64 == 0 ? 64 : 32; }

} // namespace oriel::codegen::nvidia
