// A fiber: a stack of its own that is entered and left by plain function calls. x86-64, System V.
// Not thread safe: a fiber is resumed by the thread that made it.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATOR_FIBER_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATOR_FIBER_H

#include <cstddef>
#include <functional>
#include <memory>

namespace oriel::codegen::nvidia {

class Fiber {
public:
  explicit Fiber(size_t stackBytes = 64 * 1024);

  /// Sets what the fiber runs when it is next resumed. The fiber must be fresh or finished.
  void start(std::function<void()> body);
  /// Runs until the body suspends or returns.
  void resume();
  /// Called from inside the body: goes back to the caller of resume().
  void suspend();
  bool finished() const { return finished_; }

private:
  static void enter();

  std::unique_ptr<std::byte[]> stack_;
  size_t stackBytes_;
  std::function<void()> body_;
  void *fiberStackPointer_ = nullptr;
  void *callerStackPointer_ = nullptr;
  bool finished_ = true;
};

} // namespace oriel::codegen::nvidia

#endif
