#include "runtime/device/cuda/emulated/Fiber.h"

#include <cstdint>
#include <new>

#include <sanitizer/asan_interface.h> // its macros are nothing without a sanitizer
#include <sys/mman.h>

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

namespace oriel::runtime::emulated {

static constexpr size_t pageBytes = 4096;
static thread_local Fiber *starting = nullptr;

Fiber::Fiber(size_t stackBytes) : mappingBytes_(pageBytes + (stackBytes + pageBytes - 1) / pageBytes * pageBytes) {
  void *memory = ::mmap(nullptr, mappingBytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    throw std::bad_alloc();
  mapping_ = static_cast<std::byte *>(memory);
  ::mprotect(mapping_, pageBytes, PROT_NONE);
}

Fiber::~Fiber() { ::munmap(mapping_, mappingBytes_); }

void Fiber::enter() {
  Fiber *self = starting;
  self->body_(self->argument_);
  self->finished_ = true;
  self->suspend();
}

void Fiber::start(Body body, void *argument) {
  body_ = body;
  argument_ = argument;
  finished_ = false;
  // A body that was left in the middle never undid the marks of its frames.
  ASAN_UNPOISON_MEMORY_REGION(mapping_ + pageBytes, mappingBytes_ - pageBytes);
  auto *words = reinterpret_cast<uintptr_t *>(mapping_ + mappingBytes_);
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

} // namespace oriel::runtime::emulated
