// A fiber: a stack of its own that is entered and left by plain function calls. x86-64, System V.
// Not thread safe: a fiber is resumed by the thread that started it.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_FIBER_H
#define ORIEL_RUNTIME_DEVICE_CUDA_EMULATED_FIBER_H

#include <cstddef>

namespace oriel::runtime::emulated {

class Fiber {
public:
  using Body = void (*)(void *argument);

  /// Below the stack lies a page that nobody may touch: a body that needs more than `stackBytes` ends the process
  /// instead of writing into its neighbour.
  explicit Fiber(size_t stackBytes = 64 * 1024);
  ~Fiber();
  Fiber(const Fiber &) = delete;
  Fiber &operator=(const Fiber &) = delete;

  /// Sets what the fiber runs when it is next resumed. The fiber must be fresh or finished.
  void start(Body body, void *argument);
  /// Runs until the body suspends or returns.
  void resume();
  /// Called from inside the body: goes back to the caller of resume().
  void suspend();
  bool finished() const { return finished_; }

private:
  static void enter();

  std::byte *mapping_ = nullptr; // the guard page, then the stack
  size_t mappingBytes_ = 0;
  Body body_ = nullptr;
  void *argument_ = nullptr;
  void *fiberStackPointer_ = nullptr;
  void *callerStackPointer_ = nullptr;
  bool finished_ = true;
};

} // namespace oriel::runtime::emulated

#endif
