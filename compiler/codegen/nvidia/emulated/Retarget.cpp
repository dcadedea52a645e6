// The module as a whole: functions, shared memory, and the entries of kernels.
#include "compiler/codegen/nvidia/emulated/Retarget.h"
#include "compiler/codegen/nvidia/emulated/AccessChecks.h"
#include "compiler/codegen/nvidia/emulated/EmulatorCalls.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/ReplaceConstant.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace oriel::codegen::nvidia {

namespace {

class Retarget {
public:
  explicit Retarget(Module &module) : module_(module), b_(module.getContext()), imports_(module) {}

  std::string run() {
    SmallVector<Function *> functions;
    SmallVector<Kernel> kernels;
    for (Function &function : module_)
      if (!function.isDeclaration())
        functions.push_back(&function);
    EmulatorCalls calls(module_, imports_);
    for (Function *function : functions) {
      for (Instruction &inst : make_early_inc_range(instructions(*function)))
        if (std::string unknown = calls.rewrite(inst); !unknown.empty())
          return unknown;
      if (function->getCallingConv() == CallingConv::PTX_Kernel)
        kernels.push_back({function, count_if(function->args(), isTensorMap)});
      function->setCallingConv(CallingConv::C);
      function->setLinkage(GlobalValue::InternalLinkage);
      function->setAttributes(AttributeList()); // target-cpu and the like are NVPTX's
    }
    replaceSharedMemory();
    addRounding();
    for (Kernel kernel : kernels)
      if (std::string unknown = describeKernel(kernel); !unknown.empty())
        return unknown;
    imports_.writeTable();
    removeDeadDeclarations();
    std::string broken;
    raw_string_ostream stream(broken);
    return verifyModule(module_, &stream) ? "the emulated module is broken: " + broken : std::string();
  }

private:
  struct Kernel {
    Function *function;
    int64_t tensorMaps; // the last arguments
  };

  /// A parameter that is passed by value: a tensor map is the only kind.
  static bool isTensorMap(const Argument &argument) { return argument.hasByValAttr(); }

  void replaceSharedMemory();
  void addRounding();
  Function *threadFunction(Function &kernel);
  std::string describeKernel(Kernel described);
  void removeDeadDeclarations();

  Module &module_;
  IRBuilder<> b_;
  Imports imports_;
};

/// Every block has shared memory of its own, so its address is asked for when a function starts.
void Retarget::replaceSharedMemory() {
  GlobalVariable *shared = module_.getGlobalVariable("oriel_shared");
  if (!shared)
    return;
  convertUsersOfConstantsToInstructions({shared});
  SmallMapVector<Function *, SmallVector<Use *>, 4> uses;
  for (Use &use : shared->uses())
    uses[cast<Instruction>(use.getUser())->getFunction()].push_back(&use);
  for (auto &[function, ofFunction] : uses) {
    b_.SetInsertPoint(&function->getEntryBlock(), function->getEntryBlock().getFirstNonPHIOrDbgOrAlloca());
    Value *address = imports_.call(b_, "orielEmulatedShared", b_.getPtrTy(), {});
    Value *base = b_.CreateAddrSpaceCast(address, shared->getType());
    for (Use *use : ofFunction)
      use->set(base);
  }
  shared->eraseFromParent();
}

/// Where values of bf16 go through f32 on hosts without bf16, code generation calls a function that not every
/// compiler's library has.
void Retarget::addRounding() {
  Type *bf16 = b_.getBFloatTy(), *f32 = b_.getFloatTy();
  Function *function = Function::Create(FunctionType::get(bf16, {f32}, false), GlobalValue::WeakODRLinkage,
                                        "__truncsfbf2", module_);
  function->setVisibility(GlobalValue::HiddenVisibility);
  b_.SetInsertPoint(BasicBlock::Create(module_.getContext(), "", function));
  b_.CreateRet(roundToBf16(b_, imports_, function->getArg(0), bf16));
}

/// void name.thread(ptr arguments): loads the kernel's pointers from an array and calls it.
Function *Retarget::threadFunction(Function &kernel) {
  Type *pointer = b_.getPtrTy();
  auto *thread = Function::Create(FunctionType::get(b_.getVoidTy(), {pointer}, false), Function::InternalLinkage,
                                  kernel.getName() + ".thread", module_);
  b_.SetInsertPoint(BasicBlock::Create(module_.getContext(), "", thread));
  SmallVector<Value *> arguments;
  for (unsigned i = 0; i < kernel.arg_size(); ++i)
    arguments.push_back(b_.CreateLoad(pointer, b_.CreateConstInBoundsGEP1_32(pointer, thread->getArg(0), i)));
  b_.CreateCall(&kernel, arguments);
  b_.CreateRetVoid();
  return thread;
}

/// Exports {name, thread, arguments, tensor maps, imports, checks}.
std::string Retarget::describeKernel(Kernel described) {
  auto [kernel, tensorMaps] = described;
  if (!all_of(kernel->args(), [](Argument &argument) { return argument.getType()->isPointerTy(); }))
    return "the emulator does not know kernels that take anything but pointers, as " + kernel->getName().str();
  Type *pointer = b_.getPtrTy(), *i64 = b_.getInt64Ty();
  auto *type = StructType::get(pointer, pointer, i64, i64, pointer, pointer);
  Constant *checks = module_.getNamedGlobal(checksNameOf(kernel->getName()));
  Constant *entry = ConstantStruct::get(
      type, {constantText(module_, kernel->getName()), threadFunction(*kernel), b_.getInt64(kernel->arg_size()),
             b_.getInt64(static_cast<uint64_t>(tensorMaps)), imports_.table(),
             checks ? checks : ConstantPointerNull::get(b_.getPtrTy())});
  new GlobalVariable(module_, type, true, GlobalValue::ExternalLinkage, entry, "oriel_emulated_" + kernel->getName());
  return {};
}

/// Of intrinsics that are replaced: a host's code generator has never heard of them.
void Retarget::removeDeadDeclarations() {
  for (Function &function : make_early_inc_range(module_))
    if (function.isDeclaration() && function.use_empty())
      function.eraseFromParent();
}

} // namespace

std::string retargetToHost(Module &module) { return Retarget(module).run(); }

} // namespace oriel::codegen::nvidia
