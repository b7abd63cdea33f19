// The CPU kernels of this operator; see contract.h. They are those of triangle attention: a batch whose samples share
// their bias is the rows of one pair table, and any other batch is one row each.
#include "attention_pair_bias/contract.h"
#include "triangle_attention/cpu_attention.h"

namespace {

using structdiff::attention::Backward;
using structdiff::attention::Forward;

// The same memory with the batch as rows (of a batch of one), or with one row a sample.
class AsRows {
 public:
  AsRows(const structdiff_tensor* tensor, bool shared) : given_(tensor != nullptr) {
    if (!given_) return;
    view_ = *tensor;
    ++view_.rank;
    for (int axis = STRUCTDIFF_MAX_RANK - 1; axis > (shared ? 0 : 1); --axis) {
      view_.size[axis] = tensor->size[axis - 1];
      view_.stride[axis] = tensor->stride[axis - 1];
    }
    view_.size[shared ? 0 : 1] = 1;
    view_.stride[shared ? 0 : 1] = 0;
  }
  const structdiff_tensor* get() const { return given_ ? &view_ : nullptr; }

 private:
  bool given_;
  structdiff_tensor view_;
};

bool is_shared(const structdiff_tensor& bias) { return bias.size[0] == 1 || bias.stride[0] == 0; }

structdiff_tensor one_table(const structdiff_tensor& bias, bool shared) {
  structdiff_tensor table = bias;
  if (shared) table.size[0] = 1;
  return table;
}

bool fits(const structdiff_tensor* q, const structdiff_tensor* bias) {
  return q->rank == 4 && bias->rank == 4 && q->size[0] == bias->size[0];
}

}  // namespace

int32_t structdiff_attention_pair_bias_forward_cpu(
    const structdiff_tensor* q, const structdiff_tensor* k, const structdiff_tensor* v, const structdiff_tensor* bias,
    const structdiff_tensor* mask, double scale, const structdiff_tensor* out, const structdiff_tensor* lse,
    int32_t num_threads) {
  if (!fits(q, bias)) return STRUCTDIFF_BAD_ARGUMENT;
  const bool shared = is_shared(*bias);
  const AsRows q_rows(q, shared), k_rows(k, shared), v_rows(v, shared), mask_rows(mask, shared), out_rows(out, shared);
  const structdiff_tensor table = one_table(*bias, shared);
  return structdiff::attention::run_forward(
      {q_rows.get(), k_rows.get(), v_rows.get(), &table, mask_rows.get(), scale, out_rows.get(), lse}, num_threads);
}

int32_t structdiff_attention_pair_bias_backward_cpu(
    const structdiff_tensor* grad_out, const structdiff_tensor* q, const structdiff_tensor* k,
    const structdiff_tensor* v, const structdiff_tensor* bias, const structdiff_tensor* mask,
    const structdiff_tensor* out, const structdiff_tensor* lse, double scale, const structdiff_tensor* grad_q,
    const structdiff_tensor* grad_k, const structdiff_tensor* grad_v, const structdiff_tensor* grad_bias,
    int32_t num_threads) {
  if (!fits(q, bias)) return STRUCTDIFF_BAD_ARGUMENT;
  const bool shared = is_shared(*bias);
  const AsRows grad_rows(grad_out, shared), q_rows(q, shared), k_rows(k, shared), v_rows(v, shared);
  const AsRows mask_rows(mask, shared), out_rows(out, shared);
  const AsRows grad_q_rows(grad_q, shared), grad_k_rows(grad_k, shared), grad_v_rows(grad_v, shared);
  const structdiff_tensor table = one_table(*bias, shared);
  const Forward forward{q_rows.get(), k_rows.get(), v_rows.get(), &table, mask_rows.get(), scale, out_rows.get(), lse};
  return structdiff::attention::run_backward(
      {grad_rows.get(), forward, grad_q_rows.get(), grad_k_rows.get(), grad_v_rows.get(), grad_bias}, num_threads);
}
