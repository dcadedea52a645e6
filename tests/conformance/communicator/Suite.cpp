// The checks. Sizes are awkward on purpose: 1 element, and counts no rank number divides.
#include "tests/conformance/communicator/Suite.h"

#include "runtime/base/Status.h"

#include "absl/strings/str_cat.h"

#include <cmath>
#include <cstring>

namespace oriel::runtime {

namespace {

using Values = std::vector<float>;

Deadline soon() { return Deadline::after(60); }

absl::Status expect(bool condition, absl::string_view what) {
  return condition ? absl::OkStatus() : absl::InternalError(what);
}

/// Values whose sums depend on the order of addition.
Values awkwardValues(int rank, int64_t count) {
  Values values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    values[static_cast<size_t>(i)] = std::sin(static_cast<float>(i * 7 + rank * 1001)) * std::pow(10.0f, rank % 4);
  return values;
}

absl::Status describesItself(Communicator &c) {
  ORIEL_RETURN_IF_ERROR(expect(c.rank() >= 0 && c.rank() < c.size(), "rank outside the group"));
  return expect(!c.backend().empty(), "no backend name");
}

template <typename T> absl::Status gathersSlices(Communicator &c, int64_t count, DType dtype) {
  std::vector<T> data(static_cast<size_t>(count * c.size()), T(77));
  for (int64_t i = 0; i < count; ++i)
    data[static_cast<size_t>(c.rank() * count + i)] = static_cast<T>(c.rank() * 100 + i % 50);
  ORIEL_RETURN_IF_ERROR(c.allGather(data.data(), count, dtype, soon()));
  for (int rank = 0; rank < c.size(); ++rank)
    for (int64_t i = 0; i < count; ++i)
      if (data[static_cast<size_t>(rank * count + i)] != static_cast<T>(rank * 100 + i % 50))
        return absl::InternalError(absl::StrCat("slice ", rank, " element ", i, " of ", count, " is wrong"));
  return absl::OkStatus();
}

absl::Status allGather(Communicator &c) {
  for (int64_t count : {1, 3, 1000, 100003}) {
    ORIEL_RETURN_IF_ERROR(gathersSlices<float>(c, count, DType::F32));
    ORIEL_RETURN_IF_ERROR(gathersSlices<int32_t>(c, count, DType::I32));
    ORIEL_RETURN_IF_ERROR(gathersSlices<uint16_t>(c, count, DType::BF16));
  }
  return absl::OkStatus();
}

/// The law of TreeOrder.h, stated anew: the left part is the largest power of two below n.
Values treeSum(int first, int n, int64_t count) {
  if (n == 1)
    return awkwardValues(first, count);
  int left = 1;
  while (left * 2 < n)
    left *= 2;
  Values sum = treeSum(first, left, count);
  Values right = treeSum(first + left, n - left, count);
  for (size_t i = 0; i < sum.size(); ++i)
    sum[i] += right[i];
  return sum;
}

absl::Status reduceScatterTree(Communicator &c) {
  for (int64_t count : {1, 5, 4096, 30001}) {
    Values data = awkwardValues(c.rank(), count * c.size()), before = data;
    Values scratch(static_cast<size_t>(count * (c.size() - 1)));
    ORIEL_RETURN_IF_ERROR(c.reduceScatterTree(data.data(), scratch.data(), count, DType::F32, soon()));
    Values expected = treeSum(0, c.size(), count * c.size());
    for (int64_t i = 0; i < count * c.size(); ++i) {
      size_t at = static_cast<size_t>(i);
      bool mine = i / count == c.rank();
      if (data[at] != (mine ? expected[at] : before[at]))
        return absl::InternalError(absl::StrCat("element ", i, " of ", count, " per rank: ", data[at], ", expected ",
                                                mine ? expected[at] : before[at]));
    }
  }
  return absl::OkStatus();
}

absl::Status reduceRefusesIntegers(Communicator &c) {
  std::vector<int32_t> data(static_cast<size_t>(c.size()));
  absl::Status status = c.reduceScatterTree(data.data(), data.data(), 1, DType::I32, soon());
  return expect(status.code() == absl::StatusCode::kFailedPrecondition, status.ToString());
}

absl::Status broadcast(Communicator &c) {
  for (int root = 0; root < c.size(); ++root)
    for (int64_t bytes : {1, 1000, 300001}) {
      std::string data(static_cast<size_t>(bytes), static_cast<char>(c.rank() + 1));
      ORIEL_RETURN_IF_ERROR(c.broadcast(data.data(), bytes, root, soon()));
      ORIEL_RETURN_IF_ERROR(expect(data == std::string(data.size(), static_cast<char>(root + 1)), "wrong bytes"));
    }
  return absl::OkStatus();
}

absl::Status broadcastRefusesABadRoot(Communicator &c) {
  char byte = 0;
  absl::Status status = c.broadcast(&byte, 1, c.size(), soon());
  return expect(status.code() == absl::StatusCode::kFailedPrecondition, status.ToString());
}

absl::Status barriers(Communicator &c) {
  for (int i = 0; i < 100; ++i)
    ORIEL_RETURN_IF_ERROR(c.barrier(soon()));
  return absl::OkStatus();
}

/// Messages of different lengths, empty ones among them.
absl::Status allGatherBytes(Communicator &c) {
  auto messageOf = [](int rank) {
    return std::string(static_cast<size_t>(rank * rank * 1000), static_cast<char>('a' + rank));
  };
  ORIEL_ASSIGN_OR_RETURN(std::vector<std::string> messages, c.allGatherBytes(messageOf(c.rank()), soon()));
  ORIEL_RETURN_IF_ERROR(expect(static_cast<int>(messages.size()) == c.size(), "wrong number of messages"));
  for (int rank = 0; rank < c.size(); ++rank)
    ORIEL_RETURN_IF_ERROR(expect(messages[static_cast<size_t>(rank)] == messageOf(rank), "wrong message"));
  return absl::OkStatus();
}

/// Calls that follow each other at once do not mix, whoever is late.
absl::Status manyCallsInARow(Communicator &c) {
  Values data(static_cast<size_t>(64 * c.size())), scratch(static_cast<size_t>(64 * c.size()));
  for (int round = 0; round < 200; ++round) {
    std::fill_n(data.begin() + 64 * c.rank(), 64, static_cast<float>(round));
    ORIEL_RETURN_IF_ERROR(c.allGather(data.data(), 64, DType::F32, soon()));
    for (float value : data)
      ORIEL_RETURN_IF_ERROR(expect(value == static_cast<float>(round), "a value of another round"));
    ORIEL_RETURN_IF_ERROR(c.reduceScatterTree(data.data(), scratch.data(), 64, DType::F32, soon()));
    ORIEL_RETURN_IF_ERROR(
        expect(data[static_cast<size_t>(64 * c.rank())] == static_cast<float>(round * c.size()), "wrong sum"));
  }
  return absl::OkStatus();
}

} // namespace

const std::vector<ConformanceCheck> &conformanceChecks() {
  static const std::vector<ConformanceCheck> checks = {
      {"describesItself", describesItself},
      {"allGather", allGather},
      {"reduceScatterTree", reduceScatterTree},
      {"reduceRefusesIntegers", reduceRefusesIntegers},
      {"broadcast", broadcast},
      {"broadcastRefusesABadRoot", broadcastRefusesABadRoot},
      {"barriers", barriers},
      {"allGatherBytes", allGatherBytes},
      {"manyCallsInARow", manyCallsInARow},
  };
  return checks;
}

} // namespace oriel::runtime
