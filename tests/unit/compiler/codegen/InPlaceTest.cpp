// Tiles that are read and written where they lie in their buffers, inside and at edges, and maps that are folded as
// they are made. Every case must give what copies through scratch would.
#include "tests/unit/compiler/codegen/TargetsTest.h"

#include <bit>
#include <cmath>

namespace oriel::tests {
namespace {

float roundToBf16(float x) { return std::bit_cast<float>((std::bit_cast<uint32_t>(x) + 0x8000u) & 0xffff0000u); }
uint16_t bf16Bits(float x) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(roundToBf16(x)) >> 16); }
float fromBits(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

/// Numbers that bf16 holds exactly, products and short sums of which f32 holds exactly.
std::vector<float> eighths(size_t count, uint64_t seed) {
  std::vector<float> values = noise(count, seed);
  for (float &value : values)
    value = std::round(value * 8) / 8;
  return values;
}

class InPlaceTest : public TargetsTest {
protected:
  static constexpr int64_t H = 37, W = 54; // the buffers
  struct Case {
    int64_t row0, col0, rows, cols;
    std::optional<int64_t> begin = {}, end = {}, limit = {};

    bool isInside(int64_t r, int64_t c) const {
      int64_t i = row0 + r, j = col0 + c;
      return i >= begin.value_or(0) && i >= 0 && i < std::min(end.value_or(H), H) && j >= 0 && j < W &&
             c < limit.value_or(cols);
    }
    int64_t at(int64_t r, int64_t c) const { return (row0 + r) * W + col0 + c; }
  };
  static std::vector<Case> cases() {
    return {{0, 0, 32, 48},
            {5, 2, 16, 32},
            {-3, 0, 32, 32},
            {30, 20, 16, 32},
            {-20, 0, 16, 16},
            {3, -4, 16, 16},
            {2, 0, 16, 64},
            {4, 0, 32, 32, 9},
            {4, 0, 32, 32, {}, 20},
            {0, 0, 16, 32, 3, 3},
            {1, 0, 16, 48, {}, {}, 19}};
  }

  mlir::MemRefType bf16Buffer(llvm::ArrayRef<int64_t> shape) {
    return mlir::MemRefType::get(shape, mlir::BFloat16Type::get(&runner.context()));
  }
  /// The origin comes from buffer 0, so that nothing is known when the kernel is compiled.
  Place placeOf(TileBuilder &b, const Case &c, bool knownColumn = false) {
    Scalar row0 = toIndex(b.loadScalar(b.buffer(0), {b.index(0)})),
           col0 = knownColumn ? b.index(c.col0) : toIndex(b.loadScalar(b.buffer(0), {b.index(1)}));
    Place place{{row0, col0}, 0, 1};
    if (c.begin)
      place.rowBegin = b.index(*c.begin);
    if (c.end)
      place.rowEnd = b.index(*c.end);
    place.colLimit = c.limit;
    return place;
  }
  /// Compiles one kernel per case, then checks each.
  void forCases(llvm::function_ref<void(const std::string &, const Case &)> build,
                llvm::function_ref<void(const std::string &, const Case &, std::vector<int32_t> &)> check) {
    auto all = cases();
    auto name = [](size_t number) { return "case" + std::to_string(number); };
    for (size_t i = 0; i < all.size(); ++i)
      build(name(i), all[i]);
    ASSERT_EQ(runner.compile(target()), "");
    for (size_t i = 0; i < all.size(); ++i) {
      SCOPED_TRACE(name(i));
      std::vector<int32_t> origin = {static_cast<int32_t>(all[i].row0), static_cast<int32_t>(all[i].col0)};
      check(name(i), all[i], origin);
    }
  }
  Value loadBf16(TileBuilder &b, unsigned buffer, const Place &place, int64_t rows, int64_t cols) {
    auto load = b.load(b.buffer(buffer), place, rows, cols).getDefiningOp<tile::LoadOp>();
    load.getTile().setType(mlir::RankedTensorType::get({rows, cols}, b.builder().getBF16Type()));
    return load.getTile();
  }
};

TEST_P(InPlaceTest, MapsFromBufferToBuffer) {
  forCases(
      [&](const std::string &name, const Case &c) {
        TileBuilder b =
            kernel(name, {intBuffer({2}), buffer({H, W}), bf16Buffer({H, W}), buffer({H, W}), bf16Buffer({H, W})},
                   {1, 1, 1}, 2);
        Place place = placeOf(b, c);
        Value x = b.load(b.buffer(1), place, c.rows, c.cols), y = b.load(b.buffer(2), place, c.rows, c.cols);
        auto both = b.mapN({x, y}, [](TileBuilder &, llvm::ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
          return {in[0] + in[1], in[0] * in[1]};
        });
        b.store(both[0], b.buffer(3), place);
        b.store(both[1], b.buffer(4), place);
      },
      [&](const std::string &name, const Case &c, std::vector<int32_t> &origin) {
        std::vector<float> x = noise(H * W), y = noise(H * W, 2), sum = noise(H * W, 3), wantedSum = sum;
        std::vector<uint16_t> half(H * W), product(H * W, 7), wantedProduct = product;
        llvm::transform(y, half.begin(), bf16Bits);
        ASSERT_EQ(runner.run(name, {origin.data(), x.data(), half.data(), sum.data(), product.data()}), "");
        for (int64_t r = 0; r < c.rows; ++r)
          for (int64_t col = 0; col < c.cols; ++col)
            if (c.isInside(r, col)) {
              int64_t at = c.at(r, col);
              wantedSum[at] = x[at] + fromBits(half[at]);
              wantedProduct[at] = bf16Bits(x[at] * fromBits(half[at]));
            }
        EXPECT_EQ(sum, wantedSum);
        EXPECT_EQ(product, wantedProduct);
      });
}

TEST_P(InPlaceTest, FoldsMapsAsTheyAreMade) {
  forCases(
      [&](const std::string &name, const Case &c) {
        TileBuilder b =
            kernel(name, {intBuffer({2}), bf16Buffer({H, W}), buffer({c.rows, 1}), buffer({1, c.cols})}, {1, 1, 1}, 2);
        Value x = b.load(b.buffer(1), placeOf(b, c), c.rows, c.cols);
        Value most = b.reduceMax(x, 1);
        Value squares = b.map({x, most}, [](Scalar x, Scalar m) { return x * x + m; });
        b.store(b.reduceSum(squares, 1), b.buffer(2), whole(b));
        Value shifted = b.map({x, most}, [](Scalar x, Scalar m) { return x - 2.0 * m; });
        b.store(b.reduceSum(shifted, 0), b.buffer(3), whole(b));
      },
      [&](const std::string &name, const Case &c, std::vector<int32_t> &origin) {
        std::vector<float> x = eighths(H * W, 4), rows(c.rows), cols(c.cols), wantedRows(c.rows), wantedCols(c.cols);
        std::vector<uint16_t> half(H * W);
        llvm::transform(x, half.begin(), bf16Bits);
        ASSERT_EQ(runner.run(name, {origin.data(), half.data(), rows.data(), cols.data()}), "");
        for (int64_t r = 0; r < c.rows; ++r) {
          auto element = [&](int64_t col) { return c.isInside(r, col) ? x[c.at(r, col)] : 0.0f; };
          float most = element(0);
          for (int64_t col = 0; col < c.cols; ++col)
            most = std::max(most, element(col));
          for (int64_t col = 0; col < c.cols; ++col) {
            wantedRows[r] += element(col) * element(col) + most;
            wantedCols[col] += element(col) - 2 * most;
          }
        }
        EXPECT_EQ(rows, wantedRows);
        EXPECT_EQ(cols, wantedCols);
      });
}

TEST_P(InPlaceTest, ProductsAddToTheirBuffer) {
  forCases(
      [&](const std::string &name, const Case &c) {
        TileBuilder b =
            kernel(name, {intBuffer({2}), bf16Buffer({c.rows, 16}), bf16Buffer({16, c.cols}), buffer({H, W})});
        Place place = placeOf(b, c);
        b.accumulate(b.dot(loadBf16(b, 1, whole(b), c.rows, 16), loadBf16(b, 2, whole(b), 16, c.cols)), b.buffer(3),
                     place);
        Value left = b.load(b.buffer(1), whole(b), c.rows, 16), right = b.load(b.buffer(2), whole(b), 16, c.cols);
        b.accumulate(b.dot(left, right), b.buffer(3), place);
      },
      [&](const std::string &name, const Case &c, std::vector<int32_t> &origin) {
        std::vector<float> left = eighths(c.rows * 16, 5), right = eighths(16 * c.cols, 6), sum = eighths(H * W, 7),
                           wanted = sum;
        std::vector<uint16_t> leftHalf(left.size()), rightHalf(right.size());
        llvm::transform(left, leftHalf.begin(), bf16Bits);
        llvm::transform(right, rightHalf.begin(), bf16Bits);
        ASSERT_EQ(runner.run(name, {origin.data(), leftHalf.data(), rightHalf.data(), sum.data()}), "");
        for (int64_t r = 0; r < c.rows; ++r)
          for (int64_t col = 0; col < c.cols; ++col)
            for (int64_t k = 0; k < 16 && c.isInside(r, col); ++k)
              wanted[c.at(r, col)] += 2 * left[r * 16 + k] * right[k * c.cols + col];
        EXPECT_EQ(sum, wanted);
      });
}

TEST_P(InPlaceTest, ProductsPackWhatLiesInABuffer) {
  constexpr int64_t M = 32;
  forCases(
      [&](const std::string &name, const Case &c) {
        TileBuilder b = kernel(name,
                               {intBuffer({2}), bf16Buffer({H, W}), bf16Buffer({M, c.rows}), bf16Buffer({M, c.cols}),
                                buffer({M, c.cols}), buffer({M, c.rows}), buffer({c.cols, M})},
                               {1, 1, 1}, 3);
        auto tile = [&] { return loadBf16(b, 1, placeOf(b, c, /*knownColumn=*/true), c.rows, c.cols); };
        auto perRow = [&] { return loadBf16(b, 2, whole(b), M, c.rows); };
        b.store(b.dot(perRow(), tile()), b.buffer(4), whole(b));
        b.store(b.dotBT(loadBf16(b, 3, whole(b), M, c.cols), tile()), b.buffer(5), whole(b));
        b.store(b.dotAT(tile(), b.transpose(perRow())), b.buffer(6), whole(b));
      },
      [&](const std::string &name, const Case &c, std::vector<int32_t> &origin) {
        std::vector<float> x = eighths(H * W, 8), perRow = eighths(M * c.rows, 9), perCol = eighths(M * c.cols, 10);
        std::vector<std::vector<uint16_t>> halves;
        for (const std::vector<float> *values : {&x, &perRow, &perCol}) {
          halves.emplace_back(values->size());
          llvm::transform(*values, halves.back().begin(), bf16Bits);
        }
        std::vector<float> byRows(M * c.cols), byCols(M * c.rows), turned(c.cols * M);
        ASSERT_EQ(runner.run(name, {origin.data(), halves[0].data(), halves[1].data(), halves[2].data(), byRows.data(),
                                    byCols.data(), turned.data()}),
                  "");
        std::vector<float> wantedByRows(byRows.size()), wantedByCols(byCols.size()), wantedTurned(turned.size());
        for (int64_t m = 0; m < M; ++m)
          for (int64_t r = 0; r < c.rows; ++r)
            for (int64_t col = 0; col < c.cols; ++col) {
              float element = c.isInside(r, col) ? x[c.at(r, col)] : 0.0f;
              wantedByRows[m * c.cols + col] += perRow[m * c.rows + r] * element;
              wantedByCols[m * c.rows + r] += perCol[m * c.cols + col] * element;
              wantedTurned[col * M + m] += perRow[m * c.rows + r] * element;
            }
        EXPECT_EQ(byRows, wantedByRows);
        EXPECT_EQ(byCols, wantedByCols);
        EXPECT_EQ(turned, wantedTurned);
      });
}

/// The output takes the memory of the input: halves change places, as those of rotary positions do.
TEST_P(InPlaceTest, ReplacesTheInputItReads) {
  constexpr int64_t R = 32, C = 64;
  TileBuilder b = kernel("halves", {buffer({R, C}), buffer({R, C})}, {1, 1, 1}, 1);
  b.op().setArgAttr(1, tile::kReplacesAttr, b.builder().getDenseI64ArrayAttr({0}));
  Place first = whole(b), second{{b.index(0), b.index(C / 2)}, 0, 1};
  Value u = b.load(b.buffer(0), first, R, C / 2), v = b.load(b.buffer(0), second, R, C / 2);
  auto turned = b.mapN({u, v}, [](TileBuilder &, llvm::ArrayRef<Scalar> in) -> llvm::SmallVector<Scalar> {
    return {in[0] - in[1] * 3.0, in[0] + in[1] * 2.0};
  });
  b.store(turned[0], b.buffer(1), second);
  b.store(turned[1], b.buffer(1), first);
  ASSERT_EQ(runner.compile(target()), "");
  std::vector<float> x = eighths(R * C, 11), before = x;
  ASSERT_EQ(runner.run("halves", {x.data(), x.data()}), "");
  for (int64_t r = 0; r < R; ++r)
    for (int64_t c = 0; c < C / 2; ++c) {
      float u = before[r * C + c], v = before[r * C + C / 2 + c];
      ASSERT_EQ(x[r * C + C / 2 + c], u - v * 3);
      ASSERT_EQ(x[r * C + c], u + v * 2);
    }
}

/// What is read again after the store that replaces it must have been copied.
TEST_P(InPlaceTest, KeepsWhatIsReadAfterItIsReplaced) {
  constexpr int64_t R = 32, C = 48;
  TileBuilder b = kernel("again", {buffer({R, C}), buffer({R, C}), buffer({R, C}), buffer({1, C})}, {1, 1, 1}, 3);
  b.op().setArgAttr(1, tile::kReplacesAttr, b.builder().getDenseI64ArrayAttr({0}));
  Value x = b.load(b.buffer(0), whole(b), R, C);
  b.store(b.map({x}, [](Scalar x) { return x * 2.0; }), b.buffer(1), whole(b));
  b.store(b.map({x}, [](Scalar x) { return x + 1.0; }), b.buffer(2), whole(b));
  // A row of the input is read while other rows of its memory are written.
  Value row = b.load(b.buffer(0), Place{{b.index(3), b.index(0)}, -1, 1}, 1, C);
  b.store(b.map({b.load(b.buffer(2), whole(b), R, C), row}, [](Scalar x, Scalar y) { return x - y; }), b.buffer(1),
          whole(b));
  b.store(row, b.buffer(3), whole(b));
  ASSERT_EQ(runner.compile(target()), "");
  std::vector<float> in = eighths(R * C, 12), before = in, plus(R * C), third(C);
  ASSERT_EQ(runner.run("again", {in.data(), in.data(), plus.data(), third.data()}), "");
  for (int64_t i = 0; i < R * C; ++i) {
    ASSERT_EQ(plus[i], before[i] + 1);
    ASSERT_EQ(in[i], before[i] + 1 - 2 * before[3 * C + i % C]);
  }
}

ORIEL_FOR_ALL_TARGETS(InPlaceTest);

} // namespace
} // namespace oriel::tests
