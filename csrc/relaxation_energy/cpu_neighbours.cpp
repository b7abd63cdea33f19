// Which sites may touch: cells as wide as the farthest contact, each looked at with its neighbours.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <new>
#include <vector>

#include "relaxation_energy/contract.h"

namespace structdiff {
namespace {

constexpr int64_t kMostCells = 128;  // a side; beyond it cells grow

// Sites sorted by cell.
struct Grid {
  Grid(const double* positions, const std::vector<int64_t>& rows, double reach) {
    for (int axis = 0; axis < 3; ++axis) {
      double low = 1e300, high = -1e300;
      for (const int64_t row : rows) {
        low = std::min(low, positions[3 * row + axis]);
        high = std::max(high, positions[3 * row + axis]);
      }
      origin[axis] = low;
      width[axis] = std::max(reach, (high - low) / static_cast<double>(kMostCells));
      cells[axis] = static_cast<int64_t>((high - low) / width[axis]) + 1;
    }
    start.assign(cells[0] * cells[1] * cells[2] + 1, 0);
    for (const int64_t row : rows) ++start[index(place(positions + 3 * row)) + 1];
    for (size_t cell = 1; cell < start.size(); ++cell) start[cell] += start[cell - 1];
    sorted.resize(rows.size());
    std::vector<int64_t> next(start.begin(), start.end() - 1);
    for (const int64_t row : rows) sorted[next[index(place(positions + 3 * row))]++] = row;
  }

  std::array<int64_t, 3> place(const double* point) const {
    std::array<int64_t, 3> out;
    for (int axis = 0; axis < 3; ++axis)
      out[axis] = std::min(cells[axis] - 1, static_cast<int64_t>((point[axis] - origin[axis]) / width[axis]));
    return out;
  }
  int64_t index(const std::array<int64_t, 3>& at) const { return (at[0] * cells[1] + at[1]) * cells[2] + at[2]; }

  double origin[3], width[3];
  int64_t cells[3];
  std::vector<int64_t> start, sorted;
};

struct Found {
  int64_t first, second;
  double contact;
};

}  // namespace
}  // namespace structdiff

int64_t structdiff_relaxation_energy_neighbours_cpu(int64_t sites, const double* positions, const double* radius,
                                                    const uint8_t* polar, const uint8_t* sulphur,
                                                    const uint8_t* movable, const int64_t* excluded,
                                                    int64_t excluded_count, double overlap, double polar_overlap,
                                                    double sulphur_distance, double skin, int64_t room, int64_t* pairs,
                                                    double* contact) {
  using namespace structdiff;
  try {
    std::vector<int64_t> rows;
    double largest = 0;
    for (int64_t row = 0; row < sites; ++row) {
      const double* point = positions + 3 * row;
      if (!std::isfinite(point[0] + point[1] + point[2])) return -1;
      if (radius[row] > 0) rows.push_back(row), largest = std::max(largest, radius[row]);
    }
    if (rows.size() < 2) return 0;
    const Grid grid(positions, rows, 2 * largest + skin);
    std::vector<Found> found;
    // First sites in their own order, so that only the second ones must be sorted.
    for (const int64_t i : rows) {
      const size_t begin = found.size();
      const double* here = positions + 3 * i;
      const std::array<int64_t, 3> middle = grid.place(here);
      for (int64_t x = std::max<int64_t>(0, middle[0] - 1); x <= std::min(grid.cells[0] - 1, middle[0] + 1); ++x)
        for (int64_t y = std::max<int64_t>(0, middle[1] - 1); y <= std::min(grid.cells[1] - 1, middle[1] + 1); ++y) {
          // Cells along the last axis lie one behind the other.
          const int64_t low = grid.index({x, y, std::max<int64_t>(0, middle[2] - 1)});
          const int64_t high = grid.index({x, y, std::min(grid.cells[2] - 1, middle[2] + 1)});
          for (int64_t at = grid.start[low]; at < grid.start[high + 1]; ++at) {
            const int64_t j = grid.sorted[at];
            if (j <= i || !(movable[i] || movable[j])) continue;
            const double* there = positions + 3 * j;
            double square = 0;
            for (int axis = 0; axis < 3; ++axis) square += (here[axis] - there[axis]) * (here[axis] - there[axis]);
            const double own = sulphur[i] && sulphur[j]
                                   ? sulphur_distance
                                   : radius[i] + radius[j] - (polar[i] && polar[j] ? polar_overlap : overlap);
            if (!(std::sqrt(square) < own + skin)) continue;
            if (!std::binary_search(excluded, excluded + excluded_count, i * sites + j)) found.push_back({i, j, own});
          }
        }
      std::sort(found.begin() + static_cast<std::ptrdiff_t>(begin), found.end(),
                [](const Found& a, const Found& b) { return a.second < b.second; });
    }
    const int64_t count = static_cast<int64_t>(found.size());
    for (int64_t row = 0; row < std::min(room, count); ++row) {
      pairs[2 * row] = found[row].first, pairs[2 * row + 1] = found[row].second;
      contact[row] = found[row].contact;
    }
    return count;
  } catch (const std::bad_alloc&) {
    return -1;
  }
}
