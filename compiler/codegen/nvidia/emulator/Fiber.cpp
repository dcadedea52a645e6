#include "compiler/codegen/nvidia/emulator/Fiber.h"
#include <cstdint>

#if !defined(__x86_64__)
#error "the emulator's fibers are written for x86-64"
#endif

// void orielSwitchStack(void **save, void *load): keeps the callee-saved registers on the stack that is left.
asm(R"(
.text
.type orielSwitchStack, @function
orielSwitchStack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size orielSwitchStack, .-orielSwitchStack
)");

extern "C" void orielSwitchStack(void **save, void *load);

namespace oriel::codegen::nvidia {

static thread_local Fiber *starting = nullptr;

Fiber::Fiber(size_t stackBytes) : stack_(new std::byte[stackBytes]), stackBytes_(stackBytes) {}

void Fiber::enter() {
  Fiber *self = starting;
  self->body_();
  self->finished_ = true;
  self->suspend();
}

void Fiber::start(std::function<void()> body) {
  body_ = std::move(body);
  finished_ = false;
  auto top = (reinterpret_cast<uintptr_t>(stack_.get()) + stackBytes_) & ~uintptr_t(15);
  auto *words = reinterpret_cast<uintptr_t *>(top);
  // What orielSwitchStack pops: six registers and the return address, at which the stack is as after a call.
  words[-2] = reinterpret_cast<uintptr_t>(&Fiber::enter);
  for (int i = 3; i <= 8; ++i)
    words[-i] = 0;
  fiberStackPointer_ = words - 8;
}

void Fiber::resume() {
  starting = this;
  orielSwitchStack(&callerStackPointer_, fiberStackPointer_);
}

void Fiber::suspend() { orielSwitchStack(&fiberStackPointer_, callerStackPointer_); }

} // namespace oriel::codegen::nvidia
