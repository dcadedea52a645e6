// Checks a plan from the outside in: mesh, buffers, parameters, entry points, steps.
#include "runtime/plan/PlanCheck.h"

#include "runtime/base/Status.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include <algorithm>

namespace oriel::runtime {

namespace {

using absl::InvalidArgumentError;
using absl::StrCat;

constexpr uint64_t placementAlignment = 64;
constexpr uint64_t maximumBytes = uint64_t(1) << 46; // 64 TiB: sums of a few thousand buffers stay far below 2^63
constexpr int64_t maximumWorld = 1 << 20;
constexpr uint64_t maximumScratchBytes = uint64_t(1) << 32;
constexpr uint64_t maximumMapBytes = uint64_t(1) << 48;
constexpr int64_t maximumBlockThreads = 1024;
constexpr uint64_t maximumSharedBytes = 227 << 10; // no GPU has more

/// Product of sizes (each >= 0) times `unit`, or an error when it is above maximumBytes.
absl::StatusOr<uint64_t> bytesOfSizes(std::initializer_list<int64_t> sizes, uint64_t unit) {
  uint64_t product = unit;
  bool empty = false;
  for (int64_t size : sizes) {
    if (size < 0)
      return InvalidArgumentError(StrCat("negative size ", size));
    empty |= size == 0;
    if (size > 0 && (__builtin_mul_overflow(product, static_cast<uint64_t>(size), &product) || product > maximumBytes))
      return InvalidArgumentError("a size is too large");
  }
  return empty ? 0 : product;
}

template <typename Sizes> absl::StatusOr<uint64_t> bytesOfShape(const Sizes &shape, uint64_t unit) {
  uint64_t product = unit;
  for (int64_t size : shape) {
    ORIEL_ASSIGN_OR_RETURN(product, bytesOfSizes({size}, product));
    if (product == 0)
      return 0;
  }
  return product;
}

/// A file of the package itself, whatever the plan says.
bool isNameOfDeviceCode(absl::string_view name) {
  return absl::ConsumePrefix(&name, "kernels.") &&
         (absl::ConsumeSuffix(&name, ".cubin") || absl::ConsumeSuffix(&name, ".ptx")) && !name.empty() &&
         std::all_of(name.begin(), name.end(), absl::ascii_isdigit);
}

absl::Status checkTarget(const plan::Plan &plan) {
  const plan::Target &target = plan.target();
  if (target.kind() != "cpu" && target.kind() != "nvidia")
    return InvalidArgumentError(StrCat("target '", target.kind(), "'; this build knows cpu and nvidia"));
  if ((target.kind() == "nvidia") == target.chip().empty())
    return InvalidArgumentError(StrCat("target ", target.kind(), " with chip '", target.chip(), "'"));
  for (const plan::DeviceCode &code : plan.device_code()) {
    if (!isNameOfDeviceCode(code.file()))
      return InvalidArgumentError(
          StrCat("device code '", code.file(), "'; a package has kernels.N.cubin and kernels.N.ptx"));
    if (code.symbol().empty() || code.function().empty())
      return InvalidArgumentError(StrCat("device code ", code.file(), " does not say of which kernel it is"));
  }
  return absl::OkStatus();
}

absl::Status checkMesh(const plan::Plan &plan) {
  int64_t world = 1;
  for (const plan::MeshAxis &axis : plan.mesh()) {
    if (axis.name().empty())
      return InvalidArgumentError("a mesh axis has no name");
    if (axis.size() < 1 || axis.size() > maximumWorld || world * axis.size() > maximumWorld)
      return InvalidArgumentError(StrCat("mesh axis '", axis.name(), "' has size ", axis.size()));
    world *= axis.size();
  }
  return absl::OkStatus();
}

absl::Status checkSlots(const plan::Buffer &buffer) {
  if (buffer.slot_bytes() == 0)
    return absl::OkStatus();
  if (buffer.slot_bytes() % placementAlignment != 0 || buffer.bytes() % buffer.slot_bytes() != 0)
    return InvalidArgumentError(
        StrCat("slot_bytes ", buffer.slot_bytes(), " must be a multiple of 64 that divides bytes ", buffer.bytes()));
  if (buffer.placement() != plan::STATE && buffer.placement() != plan::IO)
    return InvalidArgumentError("only STATE and IO buffers have slots");
  return absl::OkStatus();
}

absl::Status checkPlacement(const plan::Buffer &buffer, uint64_t arenaBytes, uint64_t constantsBytes) {
  uint64_t limit = 0;
  switch (buffer.placement()) {
  case plan::STATE:
  case plan::IO:
    return absl::OkStatus();
  case plan::ARENA:
    limit = arenaBytes;
    break;
  case plan::CONSTANT:
    limit = constantsBytes;
    break;
  default:
    return InvalidArgumentError(StrCat("unknown placement ", buffer.placement()));
  }
  if (buffer.offset() % placementAlignment != 0)
    return InvalidArgumentError(StrCat("offset ", buffer.offset(), " is not a multiple of 64"));
  if (buffer.offset() > limit || buffer.bytes() > limit - buffer.offset())
    return InvalidArgumentError(StrCat("bytes [", buffer.offset(), ", ", buffer.offset(), " + ", buffer.bytes(),
                                       ") lie outside the ", buffer.placement() == plan::ARENA ? "arena" : "constants",
                                       " of ", limit, " bytes"));
  return absl::OkStatus();
}

absl::Status checkBuffer(const plan::Buffer &buffer, uint64_t arenaBytes, uint64_t constantsBytes) {
  ORIEL_ASSIGN_OR_RETURN(DType dtype, toDType(buffer.dtype()));
  ORIEL_ASSIGN_OR_RETURN(uint64_t needed, bytesOfShape(buffer.shape(), bytesOf(dtype)));
  if (buffer.bytes() < needed || buffer.bytes() > maximumBytes)
    return InvalidArgumentError(StrCat("has ", buffer.bytes(), " bytes; its shape needs ", needed));
  ORIEL_RETURN_IF_ERROR(checkSlots(buffer));
  return checkPlacement(buffer, arenaBytes, constantsBytes);
}

absl::Status checkBuffers(const plan::Plan &plan, uint64_t constantsBytes) {
  if (plan.arena_bytes() > maximumBytes)
    return InvalidArgumentError(StrCat("arena_bytes ", plan.arena_bytes(), " is too large"));
  absl::flat_hash_set<absl::string_view> names;
  for (int i = 0; i < plan.buffers_size(); ++i) {
    const plan::Buffer &buffer = plan.buffers(i);
    std::string place = StrCat("buffer ", i, " '", buffer.name(), "'");
    if (buffer.name().empty() || !names.insert(buffer.name()).second)
      return InvalidArgumentError(StrCat(place, ": the name is empty or used twice"));
    ORIEL_RETURN_IF_ERROR(withContext(checkBuffer(buffer, plan.arena_bytes(), constantsBytes), place));
  }
  return absl::OkStatus();
}

absl::Status checkParameters(const plan::Plan &plan) {
  absl::flat_hash_set<absl::string_view> names;
  if (plan.parameter_elements() > maximumBytes / 4)
    return InvalidArgumentError(StrCat("parameter_elements ", plan.parameter_elements(), " is too large"));
  if (plan.parameters_size() > 0 && plan.parameter_block() == 0)
    return InvalidArgumentError("parameter_block is 0");
  for (const plan::Parameter &parameter : plan.parameters()) {
    std::string place = StrCat("parameter '", parameter.name(), "'");
    if (parameter.name().empty() || !names.insert(parameter.name()).second)
      return InvalidArgumentError(StrCat(place, ": the name is empty or used twice"));
    auto elements = bytesOfShape(parameter.shape(), 1);
    ORIEL_RETURN_IF_ERROR(withContext(elements.status(), place));
    if (parameter.offset() % plan.parameter_block() != 0)
      return InvalidArgumentError(
          StrCat(place, ": offset ", parameter.offset(), " is not a multiple of ", plan.parameter_block()));
    if (parameter.offset() > plan.parameter_elements() || *elements > plan.parameter_elements() - parameter.offset())
      return InvalidArgumentError(StrCat(place, ": leaves the ", plan.parameter_elements(), " parameter elements"));
    if (parameter.init() != "normal" && parameter.init() != "zeros" && parameter.init() != "ones")
      return InvalidArgumentError(StrCat(place, ": unknown init '", parameter.init(), "'"));
  }
  return absl::OkStatus();
}

absl::Status checkBuckets(const plan::Plan &plan) {
  auto unit = plan.parameter_block() * static_cast<uint64_t>(worldOf(plan));
  for (int i = 0; i < plan.bucket_starts_size(); ++i) {
    uint64_t start = plan.bucket_starts(i);
    uint64_t end = i + 1 < plan.bucket_starts_size() ? plan.bucket_starts(i + 1) : plan.parameter_elements();
    if ((i == 0 && start != 0) || end <= start || unit == 0 || (end - start) % unit != 0)
      return InvalidArgumentError(StrCat("bucket ", i, " [", start, ", ", end, ") is not made of shares of blocks of ",
                                         plan.parameter_block(), " elements for ", worldOf(plan), " ranks"));
  }
  return absl::OkStatus();
}

/// Bytes from the first element of a tensor map to the end of its last.
absl::StatusOr<uint64_t> reachOf(const plan::TensorMap &map) {
  constexpr int mostDims = 5, mostBox = 256, unitBytes = 16;
  ORIEL_ASSIGN_OR_RETURN(DType dtype, toDType(map.dtype()));
  int dims = map.sizes_size();
  if (dims < 1 || dims > mostDims || map.box_size() != dims || map.strides_size() + 1 != dims || dtype == DType::I32)
    return InvalidArgumentError(StrCat("a tensor map of ", nameOf(dtype), " has ", dims, " sizes, ", map.strides_size(),
                                       " strides and a box of ", map.box_size()));
  uint64_t reach = bytesOf(dtype);
  for (int dim = 0; dim < dims; ++dim) {
    uint64_t size = map.sizes(dim), stride = dim == 0 ? bytesOf(dtype) : map.strides(dim - 1);
    if (size < 1 || map.box(dim) < 1 || map.box(dim) > mostBox || (dim > 0 && stride % unitBytes != 0))
      return InvalidArgumentError(StrCat("dimension ", dim, " of a tensor map: size ", size, ", box ", map.box(dim),
                                         ", stride ", stride));
    if (stride != 0 && size - 1 > (maximumMapBytes - reach) / stride)
      return InvalidArgumentError(StrCat("dimension ", dim, " of a tensor map reaches too far"));
    reach += (size - 1) * stride;
  }
  return reach;
}

/// A map may show no more than its argument does.
absl::Status checkTensorMaps(const plan::Launch &launch) {
  for (const plan::TensorMap &map : launch.tensor_maps()) {
    if (map.argument() >= static_cast<uint32_t>(launch.args_size()))
      return InvalidArgumentError(StrCat("a tensor map of argument ", map.argument(), " of ", launch.args_size()));
    ORIEL_ASSIGN_OR_RETURN(uint64_t reach, reachOf(map));
    uint64_t bytes = launch.args(static_cast<int>(map.argument())).bytes();
    if (reach > bytes)
      return InvalidArgumentError(StrCat("a tensor map of argument ", map.argument(), " shows ", reach, " of its ",
                                         bytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<RefUse>> refsOfLaunch(const plan::Launch &launch) {
  if (launch.symbol().empty())
    return InvalidArgumentError("a launch has no symbol");
  if (launch.grid_size() != 3)
    return InvalidArgumentError(StrCat("grid has ", launch.grid_size(), " sizes; it must have 3"));
  if (std::any_of(launch.grid().begin(), launch.grid().end(), [](int64_t size) { return size < 1; }))
    return InvalidArgumentError("grid sizes must be at least 1");
  ORIEL_RETURN_IF_ERROR(bytesOfSizes({launch.grid(0), launch.grid(1), launch.grid(2)}, 1).status());
  if (launch.threads() < 0 || launch.threads() > maximumBlockThreads)
    return InvalidArgumentError(StrCat("threads = ", launch.threads(), "; a block has at most ", maximumBlockThreads));
  if (launch.shared_bytes() > maximumSharedBytes)
    return InvalidArgumentError(StrCat("shared_bytes ", launch.shared_bytes(), " is too large"));
  if (launch.scratch_bytes() > maximumScratchBytes)
    return InvalidArgumentError(StrCat("scratch_bytes ", launch.scratch_bytes(), " is too large"));
  ORIEL_RETURN_IF_ERROR(checkTensorMaps(launch));
  std::vector<RefUse> uses;
  for (const plan::Ref &ref : launch.args())
    uses.push_back({&ref, std::max<uint64_t>(ref.bytes(), 1), 1, false, "args"});
  return uses;
}

/// The operand of a product as stored: `rows` rows of `columns` elements, `stride` apart.
absl::StatusOr<RefUse> matrixUse(const plan::Ref &ref, int64_t rows, int64_t columns, int64_t stride, DType dtype,
                                 bool writes, const char *field) {
  if (stride < columns)
    return InvalidArgumentError(StrCat("leading dimension ", stride, " of ", field, " is below its row of ", columns));
  ORIEL_ASSIGN_OR_RETURN(uint64_t before, bytesOfSizes({rows - 1, stride}, bytesOf(dtype)));
  return RefUse{&ref, before + static_cast<uint64_t>(columns) * bytesOf(dtype), bytesOf(dtype), writes, field};
}

absl::StatusOr<std::vector<RefUse>> refsOfGemm(const plan::Gemm &gemm) {
  ORIEL_ASSIGN_OR_RETURN(DType dtype, toDType(gemm.dtype()));
  ORIEL_ASSIGN_OR_RETURN(DType cDType, toDType(gemm.c_dtype()));
  if (dtype == DType::I32 || cDType == DType::I32)
    return InvalidArgumentError("a matrix product of i32");
  if (gemm.m() < 1 || gemm.n() < 1 || gemm.k() < 1)
    return InvalidArgumentError(StrCat("m, n, k = ", gemm.m(), ", ", gemm.n(), ", ", gemm.k(), " must be at least 1"));
  ORIEL_RETURN_IF_ERROR(bytesOfSizes({gemm.m(), gemm.k()}, 1).status());
  ORIEL_RETURN_IF_ERROR(bytesOfSizes({gemm.k(), gemm.n()}, 1).status());
  ORIEL_RETURN_IF_ERROR(bytesOfSizes({gemm.m(), gemm.n()}, 1).status());
  if (gemm.beta() != 0.0f && gemm.beta() != 1.0f)
    return InvalidArgumentError(StrCat("beta is ", gemm.beta(), "; it must be 0 or 1"));
  int64_t aRows = gemm.transpose_a() ? gemm.k() : gemm.m(), aColumns = gemm.transpose_a() ? gemm.m() : gemm.k();
  int64_t bRows = gemm.transpose_b() ? gemm.n() : gemm.k(), bColumns = gemm.transpose_b() ? gemm.k() : gemm.n();
  std::vector<RefUse> uses(3);
  ORIEL_ASSIGN_OR_RETURN(uses[0], matrixUse(gemm.a(), aRows, aColumns, gemm.lda(), dtype, false, "a"));
  ORIEL_ASSIGN_OR_RETURN(uses[1], matrixUse(gemm.b(), bRows, bColumns, gemm.ldb(), dtype, false, "b"));
  ORIEL_ASSIGN_OR_RETURN(uses[2], matrixUse(gemm.c(), gemm.m(), gemm.n(), gemm.ldc(), cDType, true, "c"));
  return uses;
}

absl::StatusOr<std::vector<RefUse>> refsOfCollective(const plan::Collective &collective, int64_t world) {
  ORIEL_ASSIGN_OR_RETURN(DType dtype, toDType(collective.dtype()));
  if (collective.count() < 1)
    return InvalidArgumentError(StrCat("count is ", collective.count()));
  ORIEL_ASSIGN_OR_RETURN(uint64_t dataBytes, bytesOfSizes({collective.count(), world}, bytesOf(dtype)));
  std::vector<RefUse> uses = {{&collective.data(), dataBytes, bytesOf(dtype), true, "data"}};
  switch (collective.kind()) {
  case plan::Collective::ALL_GATHER:
    return uses;
  case plan::Collective::REDUCE_SCATTER_TREE:
    if (dtype != DType::F32)
      return InvalidArgumentError("reduce_scatter_tree of another dtype than f32");
    if (world > 1)
      uses.push_back({&collective.scratch(), dataBytes / world * (world - 1), bytesOf(dtype), true, "scratch"});
    return uses;
  default:
    return InvalidArgumentError(StrCat("unknown collective ", collective.kind()));
  }
}

absl::Status checkRef(const plan::Plan &plan, const RefUse &use) {
  if (use.ref->buffer() >= static_cast<uint32_t>(plan.buffers_size()))
    return InvalidArgumentError(
        StrCat(use.field, ": buffer index ", use.ref->buffer(), " of ", plan.buffers_size(), " buffers"));
  const plan::Buffer &buffer = plan.buffers(static_cast<int>(use.ref->buffer()));
  uint64_t offset = use.ref->byte_offset(), stride = use.ref->rank_stride();
  auto world = static_cast<uint64_t>(worldOf(plan));
  if (offset > maximumBytes || stride > maximumBytes / world)
    return InvalidArgumentError(StrCat(use.field, ": offset ", offset, " or rank_stride ", stride, " is too large"));
  offset += stride * (world - 1); // of the last rank
  if (offset > buffer.bytes() || use.bytes > buffer.bytes() - offset)
    return InvalidArgumentError(StrCat(use.field, ": bytes [", offset, ", ", offset, " + ", use.bytes,
                                       ") leave buffer '", buffer.name(), "' of ", buffer.bytes(), " bytes"));
  if (use.ref->byte_offset() % use.alignment != 0 || stride % use.alignment != 0)
    return InvalidArgumentError(StrCat(use.field, ": offset ", offset, " is not aligned to its elements"));
  if (use.writes && buffer.placement() == plan::CONSTANT)
    return InvalidArgumentError(StrCat(use.field, ": writes the constant '", buffer.name(), "'"));
  return absl::OkStatus();
}

absl::Status checkStep(const plan::Plan &plan, const plan::Step &step) {
  if (step.has_collective()) {
    const std::string &axis = step.collective().axis();
    if (std::none_of(plan.mesh().begin(), plan.mesh().end(), [&](const auto &a) { return a.name() == axis; }))
      return InvalidArgumentError(StrCat("collective over mesh axis '", axis, "', which the plan does not have"));
  }
  if (plan.target().kind() == "nvidia" && step.has_launch() && step.launch().threads() < 1)
    return InvalidArgumentError("a launch on a GPU without threads");
  ORIEL_ASSIGN_OR_RETURN(std::vector<RefUse> uses, refsOf(step, worldOf(plan)));
  for (const RefUse &use : uses)
    ORIEL_RETURN_IF_ERROR(checkRef(plan, use));
  return absl::OkStatus();
}

absl::Status checkEntry(const plan::Plan &plan, const plan::EntryPoint &entry) {
  if (entry.arena_bytes() > plan.arena_bytes())
    return InvalidArgumentError(StrCat("entry '", entry.name(), "': arena_bytes is above the plan's"));
  for (const auto *names : {&entry.inputs(), &entry.outputs()})
    for (const std::string &name : *names)
      if (std::none_of(plan.buffers().begin(), plan.buffers().end(), [&](const plan::Buffer &buffer) {
            return buffer.name() == name && buffer.placement() == plan::IO;
          }))
        return InvalidArgumentError(StrCat("entry '", entry.name(), "': '", name, "' is not an IO buffer"));
  for (int i = 0; i < entry.steps_size(); ++i)
    ORIEL_RETURN_IF_ERROR(withContext(checkStep(plan, entry.steps(i)), describeStep(entry, i)));
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<DType> toDType(plan::DType dtype) {
  switch (dtype) {
  case plan::F32:
    return DType::F32;
  case plan::BF16:
    return DType::BF16;
  case plan::I32:
    return DType::I32;
  default:
    return InvalidArgumentError(StrCat("unknown dtype ", dtype));
  }
}

int64_t worldOf(const plan::Plan &plan) {
  int64_t world = 1;
  for (const plan::MeshAxis &axis : plan.mesh())
    world *= axis.size();
  return world;
}

absl::StatusOr<std::vector<RefUse>> refsOf(const plan::Step &step, int64_t world) {
  switch (step.action_case()) {
  case plan::Step::kLaunch:
    return refsOfLaunch(step.launch());
  case plan::Step::kGemm:
    return refsOfGemm(step.gemm());
  case plan::Step::kCollective:
    return refsOfCollective(step.collective(), world);
  case plan::Step::kFill:
    return std::vector<RefUse>{{&step.fill().target(), step.fill().bytes(), 1, true, "target"}};
  case plan::Step::kCopy:
    return std::vector<RefUse>{{&step.copy().source(), step.copy().bytes(), 1, false, "source"},
                               {&step.copy().target(), step.copy().bytes(), 1, true, "target"}};
  default:
    return InvalidArgumentError("the step has no action");
  }
}

std::string actionOf(const plan::Step &step) {
  switch (step.action_case()) {
  case plan::Step::kLaunch:
    return step.launch().symbol();
  case plan::Step::kGemm:
    return StrCat("gemm ", step.gemm().m(), "x", step.gemm().n(), "x", step.gemm().k(), " ",
                  step.gemm().transpose_a() ? "T" : "N", step.gemm().transpose_b() ? "T" : "N",
                  step.gemm().dtype() == plan::BF16 ? " bf16" : "");
  case plan::Step::kCollective:
    return step.collective().kind() == plan::Collective::ALL_GATHER ? "all_gather" : "reduce_scatter_tree";
  case plan::Step::kFill:
    return "fill";
  case plan::Step::kCopy:
    return "copy";
  default:
    return "nothing";
  }
}

std::string describeStep(const plan::EntryPoint &entry, int index) {
  const plan::Step &step = entry.steps(index);
  return StrCat("entry '", entry.name(), "', step ", index, " (", step.layer(), step.layer().empty() ? "" : ", ",
                step.has_launch() ? "kernel " : "", actionOf(step), ")");
}

absl::Status checkPlan(const plan::Plan &plan, uint64_t constantsBytes) {
  if (plan.format_version() != 1)
    return InvalidArgumentError(StrCat("format version ", plan.format_version(), "; this build reads version 1"));
  ORIEL_RETURN_IF_ERROR(checkTarget(plan));
  ORIEL_RETURN_IF_ERROR(checkMesh(plan));
  ORIEL_RETURN_IF_ERROR(checkBuffers(plan, constantsBytes));
  ORIEL_RETURN_IF_ERROR(checkParameters(plan));
  ORIEL_RETURN_IF_ERROR(checkBuckets(plan));
  absl::flat_hash_set<absl::string_view> names;
  for (const plan::EntryPoint &entry : plan.entry_points()) {
    if (entry.name().empty() || !names.insert(entry.name()).second)
      return InvalidArgumentError(StrCat("entry '", entry.name(), "': the name is empty or used twice"));
    ORIEL_RETURN_IF_ERROR(checkEntry(plan, entry));
  }
  return absl::OkStatus();
}

} // namespace oriel::runtime
