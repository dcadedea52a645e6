// Kernels with the ABI of a package's kernels.so, for tests of the device and the executor.
#include <cstdint>

extern "C" {

/// args = x[grid x 8], y[grid x 8]: y = 2 x + z, one row of 8 for each cell, by way of the scratch.
void doubleRow(void *const *args, int64_t x, int64_t y, int64_t z, void *scratch) {
  const float *in = static_cast<const float *>(args[0]) + x * 8;
  float *out = static_cast<float *>(args[1]) + x * 8;
  float *temporary = static_cast<float *>(scratch);
  for (int i = 0; i < 8; ++i)
    temporary[i] = 2 * in[i];
  for (int i = 0; i < 8; ++i)
    out[i] = temporary[i] + static_cast<float>(z);
}

/// args = counts[z][y][x] with the sizes 3, 4, 5: adds 1 + x + 10 y + 100 z.
void markCell(void *const *args, int64_t x, int64_t y, int64_t z, void *) {
  static_cast<int32_t *>(args[0])[(z * 4 + y) * 3 + x] += static_cast<int32_t>(1 + x + 10 * y + 100 * z);
}

/// args = a[8], b[8]: b += a.
void addRow(void *const *args, int64_t, int64_t, int64_t, void *) {
  for (int i = 0; i < 8; ++i)
    static_cast<float *>(args[1])[i] += static_cast<const float *>(args[0])[i];
}
}
