// tile.load, store, gather, scatter_add at edges: negative origins, row bounds, limits, strides, turned tiles.
#include "tests/unit/compiler/codegen/TargetsTest.h"

namespace oriel::tests {
namespace {

class MemoryTest : public TargetsTest {
protected:
  static constexpr int64_t H = 37, W = 53; // the buffer
  struct Case {
    int64_t row0, col0, rows, cols;
    std::optional<int64_t> begin = {}, end = {}, limit = {};
    int64_t stride = 1;
    bool turned = false; // tile rows go along the buffer's columns
  };

  Place placeOf(TileBuilder &b, const Case &c) {
    // Origins come from memory, so that nothing is known when the kernel is compiled.
    Scalar row0 = toIndex(b.loadScalar(b.buffer(1), {b.index(0)})),
           col0 = toIndex(b.loadScalar(b.buffer(1), {b.index(1)}));
    Place place{{row0, col0}, 0, 1};
    if (c.turned)
      std::swap(place.rowDim, place.colDim);
    if (c.begin)
      place.rowBegin = b.index(*c.begin);
    if (c.end)
      place.rowEnd = b.index(*c.end);
    place.colLimit = c.limit;
    place.colStride = c.stride;
    return place;
  }

  /// The buffer's linear index of tile element (r, c), or -1 outside.
  static int64_t source(const Case &c, int64_t r, int64_t col) {
    int64_t i = c.row0 + (c.turned ? col * c.stride : r), j = c.col0 + (c.turned ? r : col * c.stride);
    int64_t rowCoordinate = c.turned ? j : i;
    bool inside = i >= 0 && i < H && j >= 0 && j < W && rowCoordinate >= c.begin.value_or(0) &&
                  rowCoordinate < c.end.value_or(1000) && col < c.limit.value_or(1000);
    return inside ? i * W + j : -1;
  }

  static std::vector<Case> cases() { // the origins, then each with one thing changed
    std::vector<Case> list = {{0, 0, 32, 48},   {5, 7, 16, 32}, {-3, -5, 32, 64}, {30, 40, 32, 32}, {-20, 0, 16, 16},
                              {40, 60, 16, 16}, {0, 0, 48, 64}, {3, 52, 32, 1},   {2, 4, 1, 48},    {36, 52, 1, 1}};
    std::vector<Case> all = list;
    for (Case c : llvm::ArrayRef(list).take_front(5)) {
      c.begin = 4, c.end = 29;
      all.push_back(c);
      c.begin = 20, c.end = 10;
      all.push_back(c);
      c.begin = {}, c.end = {}, c.limit = 19;
      all.push_back(c);
      c.limit = {}, c.stride = 2;
      all.push_back(c);
      c.stride = 3, c.limit = 7;
      all.push_back(c);
    }
    size_t count = all.size();
    for (size_t i = 0; i < count; ++i) {
      all.push_back(all[i]);
      all.back().turned = true;
    }
    return all;
  }
};

TEST_P(MemoryTest, LoadsAndStoresWhatIsInside) {
  auto all = cases();
  for (auto [number, c] : llvm::enumerate(all)) {
    std::string name = "access" + std::to_string(number);
    TileBuilder b = kernel(
        name, {buffer({H, W}), intBuffer({2}), buffer({c.rows, c.cols}), buffer({H, W}), buffer({H, W})}, {1, 1, 1}, 3);
    Value tile = b.load(b.buffer(0), placeOf(b, c), c.rows, c.cols);
    b.store(tile, b.buffer(2), whole(b));
    Value changed = b.map({tile}, [](Scalar x) { return x + 5.0; });
    b.store(changed, b.buffer(3), placeOf(b, c));
    b.accumulate(changed, b.buffer(4), placeOf(b, c));
  }
  ASSERT_EQ(runner.compile(target()), "");
  for (auto [number, c] : llvm::enumerate(all)) {
    SCOPED_TRACE("case " + std::to_string(number));
    std::vector<float> in = noise(H * W), tile(c.rows * c.cols), out = noise(H * W, 5), sum = out;
    std::vector<float> wantedOut = out, wantedSum = sum;
    std::vector<int32_t> origin = {static_cast<int32_t>(c.row0), static_cast<int32_t>(c.col0)};
    ASSERT_EQ(
        runner.run("access" + std::to_string(number), {in.data(), origin.data(), tile.data(), out.data(), sum.data()}),
        "");
    for (int64_t r = 0; r < c.rows; ++r)
      for (int64_t col = 0; col < c.cols; ++col) {
        int64_t from = source(c, r, col);
        ASSERT_EQ(tile[r * c.cols + col], from < 0 ? 0.0f : in[from]) << r << "," << col;
        if (from >= 0) {
          wantedOut[from] = in[from] + 5;
          wantedSum[from] += in[from] + 5;
        }
      }
    ASSERT_EQ(out, wantedOut);
    ASSERT_EQ(sum, wantedSum);
  }
}

TEST_P(MemoryTest, ReadsHeadsOfARankFourBuffer) {
  constexpr int64_t B = 2, T = 40, N = 3, D = 24; // tiles of 16 tokens by 32 (24 valid) columns
  auto type = buffer({B, T, N, D});
  TileBuilder b = kernel("heads", {type, type}, {3, N, B});
  Place place{{b.z(), b.x() * 16, b.y(), b.index(0)}, 1, 3};
  Value tile = b.load(b.buffer(0), place, 16, 32);
  b.store(b.map({tile}, [](Scalar x) { return x * 2.0; }), b.buffer(1), place);
  ASSERT_EQ(runner.compile(target()), "");
  auto in = noise(B * T * N * D);
  std::vector<float> out(in.size()), reverse(in.size());
  ASSERT_EQ(runner.run("heads", {in.data(), out.data()}), "");
  ASSERT_EQ(runner.run("heads", {in.data(), reverse.data()}, KernelRunner::Order::reverse), "");
  for (size_t i = 0; i < in.size(); ++i)
    ASSERT_EQ(out[i], in[i] * 2) << i;
  EXPECT_EQ(out, reverse);
}

TEST_P(MemoryTest, GathersAndScattersRowsById) {
  constexpr int64_t V = 20, D = 40, R = 32;
  TileBuilder b = kernel("rows", {buffer({V, D}), intBuffer({R, 1}), buffer({R, 48}), buffer({V, D})}, {1, 1, 1}, 2);
  Value ids = b.load(b.buffer(1), whole(b), R, 1);
  Value tile = b.gather(b.buffer(0), ids, b.index(3), 48, 30);
  b.store(tile, b.buffer(2), whole(b));
  b.scatterAdd(b.map({tile}, [](Scalar x) { return x + 1.0; }), b.buffer(3), ids, b.index(3), 30);
  ASSERT_EQ(runner.compile(target()), "");
  auto table = noise(V * D), sums = noise(V * D, 9);
  std::vector<float> wanted = sums, out(R * 48);
  std::vector<int32_t> ids_(R);
  for (int64_t r = 0; r < R; ++r)
    ids_[r] = static_cast<int32_t>(r * 7 % 23) - 1; // -1 and 20, 21 are outside, some repeat
  ASSERT_EQ(runner.run("rows", {table.data(), ids_.data(), out.data(), sums.data()}), "");
  for (int64_t r = 0; r < R; ++r)
    for (int64_t c = 0; c < 48; ++c) {
      bool inside = ids_[r] >= 0 && ids_[r] < V && c < 30 && 3 + c < D;
      float value = inside ? table[ids_[r] * D + 3 + c] : 0;
      ASSERT_EQ(out[r * 48 + c], value);
      if (inside)
        wanted[ids_[r] * D + 3 + c] += value + 1;
    }
  EXPECT_EQ(sums, wanted);
}

TEST_P(MemoryTest, RoundsToAndFromBf16) {
  auto bf16 = mlir::MemRefType::get({16, 40}, mlir::BFloat16Type::get(&runner.context()));
  TileBuilder b = kernel("bf16", {buffer({16, 40}), bf16, buffer({16, 40})}, {1, 1, 1}, 2);
  Value tile = b.load(b.buffer(0), whole(b), 16, 48);
  b.store(tile, b.buffer(1), whole(b));
  b.store(b.load(b.buffer(1), whole(b), 16, 48), b.buffer(2), whole(b));
  ASSERT_EQ(runner.compile(target()), "");
  auto in = noise(640);
  std::vector<uint16_t> half(640);
  std::vector<float> out(640);
  ASSERT_EQ(runner.run("bf16", {in.data(), half.data(), out.data()}), "");
  for (int i = 0; i < 640; ++i) {
    uint32_t bits = std::bit_cast<uint32_t>(in[i]);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u; // nearest, ties to even
    ASSERT_EQ(std::bit_cast<uint32_t>(out[i]), rounded);
  }
}

ORIEL_FOR_ALL_TARGETS(MemoryTest);

} // namespace
} // namespace oriel::tests
