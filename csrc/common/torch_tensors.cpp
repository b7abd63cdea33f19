#include "common/torch_tensors.h"

namespace {

bool read(
    const structdiff_torch& torch, uint64_t tensor, int32_t device_type, int32_t device_index, structdiff_tensor& view) {
  // A handle is the address of a tensor, and a tensor is one pointer to what Python calls its `_cdata`.
  void* const handle = &tensor;
  int32_t type = 0, index = 0, dtype = 0;
  if (torch.device_type(handle, &type) != 0 || type != device_type) return false;
  if (torch.device_index(handle, &index) != 0 || index != device_index) return false;
  if (torch.dtype(handle, &dtype) != 0 || torch.rank(handle, &view.rank) != 0) return false;
  if (view.rank > STRUCTDIFF_MAX_RANK) return false;
  view.dtype = -1;
  for (int each = 0; each < 4; ++each) {
    if (torch.dtypes[each] == dtype) view.dtype = each;
  }
  if (view.dtype < 0 || torch.data(handle, &view.data) != 0) return false;
  int64_t *sizes = nullptr, *strides = nullptr;
  if (torch.sizes(handle, &sizes) != 0 || torch.strides(handle, &strides) != 0) return false;
  for (int64_t axis = 0; axis < STRUCTDIFF_MAX_RANK; ++axis) {
    view.size[axis] = axis < view.rank ? sizes[axis] : 0;
    view.stride[axis] = axis < view.rank ? strides[axis] : 0;
  }
  return true;
}

}  // namespace

int32_t structdiff_torch_views(
    const structdiff_torch* torch, const uint64_t* tensors, int32_t count, int32_t device_type, int32_t device_index,
    structdiff_tensor* views) {
  for (int32_t each = 0; each < count; ++each) {
    if (!read(*torch, tensors[each], device_type, device_index, views[each])) return 1;
  }
  return 0;
}
