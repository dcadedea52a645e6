// A dense tensor of doubles in row-major order: the only value of the reference interpreter. Integer tensors are held
// as doubles too (every i32 is exact). Free of MLIR, so that tests of kernels can use it alone.
#ifndef ORIEL_COMPILER_REFERENCE_TENSOR_H
#define ORIEL_COMPILER_REFERENCE_TENSOR_H

#include <cassert>
#include <concepts>
#include <cstdint>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

namespace oriel::reference {

struct Tensor {
  std::vector<int64_t> shape;
  std::vector<double> data;

  Tensor() = default;
  explicit Tensor(std::vector<int64_t> sizes, double value = 0) : shape(std::move(sizes)), data(count(shape), value) {}
  Tensor(std::vector<int64_t> sizes, std::vector<double> values) : shape(std::move(sizes)), data(std::move(values)) {
    assert(int64_t(data.size()) == count(shape));
  }

  /// Zeros of another tensor's shape.
  static Tensor zerosLike(const Tensor &other) { return Tensor(other.shape); }

  int64_t rank() const { return int64_t(shape.size()); }
  int64_t size() const { return int64_t(data.size()); }

  /// Size of a dimension; negative numbers count from the last.
  int64_t dim(int64_t i) const { return shape[i < 0 ? rank() + i : i]; }

  /// Element at one index per dimension.
  template <std::integral... Index> double &at(Index... index) { return data[offset({int64_t(index)...})]; }
  template <std::integral... Index> double at(Index... index) const { return data[offset({int64_t(index)...})]; }

  /// The tensor seen as rows() vectors of the last dimension.
  int64_t rows() const { return dim(-1) ? size() / dim(-1) : 0; }
  double *row(int64_t i) { return data.data() + i * dim(-1); }
  const double *row(int64_t i) const { return data.data() + i * dim(-1); }

  static int64_t count(const std::vector<int64_t> &sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), int64_t(1), std::multiplies<>());
  }

private:
  int64_t offset(std::initializer_list<int64_t> index) const {
    assert(int64_t(index.size()) == rank());
    int64_t result = 0, i = 0;
    for (int64_t position : index)
      result = result * shape[i++] + position;
    return result;
  }
};

/// sum_i a[i] b[i].
inline double dot(const double *a, const double *b, int64_t count) { return std::inner_product(a, a + count, b, 0.0); }

/// y += scale * x.
inline void addScaled(double *y, double scale, const double *x, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    y[i] += scale * x[i];
}

} // namespace oriel::reference

#endif
