// The end of a training step of any network: clipping, optimiser and average of the weights, over flat arrays.
//
//     g ← g · min(1, max_norm / (‖all g‖ + 1e-6))                          if CLIP
//     p ← shrink p,  g ← g + weight_decay p                                where the parameter decays
//     SGD     v ← beta1 v + g      p ← p − rate v                          NESTEROV: p ← p − rate (g + beta1 v)
//     ADAM    m ← beta1 m + gain1 g    v ← beta2 v + gain2 g²    p ← p − rate m / (√v / root + eps)
//     average ← average + average_gain (value − average)                           if AVERAGE: of buffers too
//
// The operations are those of optim.py, clipping.py and weight_average.py, in their order. The numbers are a row of 8
// bytes each, see NUMBERS in kernels.py; another row is there at the next launch.

#define UPDATE_ALL_THREADS 256
#define NORM_THREADS 256

__device__ inline real number(const int64 *__restrict__ numbers, int place) { return *(const real *)(numbers + place); }

// The power of two 2^e with largest = m 2^e, 1/2 ≤ m < 1; 1 for 0 and for what is not finite.
__device__ inline real scale_of(real largest)
{
    int exponent = 0;
    if (largest > 0 && largest <= LARGEST) frexp(largest, &exponent);
    return ldexp((real)1, exponent);
}

// Every block: the largest |g| of its part, and Σ (g / scale)² with the scale of that.
extern "C" __global__ void __launch_bounds__(NORM_THREADS)
gradient_norm(const real *__restrict__ grads, real *norms, int P, int H)
{
    __shared__ real slots[NORM_THREADS / 32];
    int first = blockIdx.x * NORM_THREADS + threadIdx.x, stride = H * NORM_THREADS;
    real largest = 0, sum = 0;
    for (int i = first; i < P; i += stride) largest = larger(largest, fabs(grads[i]));
    largest = block_max<NORM_THREADS>(largest, slots);
    real scale = scale_of(largest);
    for (int i = first; i < P; i += stride) sum += grads[i] / scale * (grads[i] / scale);
    sum = block_sum<NORM_THREADS>(sum, slots);
    if (threadIdx.x == 0) {
        norms[2 * blockIdx.x] = largest;
        norms[2 * blockIdx.x + 1] = sum;
    }
}

// min(1, max_norm / (norm + 1e-6)) from the parts of gradient_norm; NaN stays.
__device__ inline real clip_factor(const real *__restrict__ norms, real max_norm, int H, real *slots)
{
    real largest = 0, sum = 0;
    for (int k = threadIdx.x; k < H; k += NORM_THREADS) largest = larger(largest, norms[2 * k]);
    largest = block_max<NORM_THREADS>(largest, slots);
    real scale = scale_of(largest);
    for (int k = threadIdx.x; k < H; k += NORM_THREADS) {
        real ratio = scale_of(norms[2 * k]) / scale;
        sum += norms[2 * k + 1] * (ratio * ratio);
    }
    real factor = max_norm / (scale * sqrt(block_sum<NORM_THREADS>(sum, slots)) + (real)1e-6);
    return factor > 1 ? (real)1 : factor;
}

extern "C" __global__ void __launch_bounds__(UPDATE_ALL_THREADS)
update(const real *__restrict__ grads, const real *__restrict__ norms, const int64 *__restrict__ numbers,
       const uint8 *__restrict__ is_matrix, real *values, real *first, real *second, real *average, int P, int S, int H,
       int rules)
{
    __shared__ real slots[NORM_THREADS / 32];
    real factor = rules & RULE_CLIP ? clip_factor(norms, number(numbers, NUMBER_MAX_NORM), H, slots) : (real)1;
    int i = blockIdx.x * UPDATE_ALL_THREADS + threadIdx.x;
    if (i >= S) return;
    real p = values[i];
    if (i < P) {
        real g = grads[i] * factor, beta1 = number(numbers, NUMBER_BETA1), rate = number(numbers, NUMBER_RATE);
        if (rules & RULE_DECAY_VECTORS || is_matrix[i]) {
            real weight_decay = number(numbers, NUMBER_WEIGHT_DECAY);
            p *= number(numbers, NUMBER_SHRINK);
            if (weight_decay != 0) g += weight_decay * p;
        }
        if (rules & RULE_ADAM) {
            real m = first[i] * beta1 + number(numbers, NUMBER_GAIN1) * g;
            real v = second[i] * number(numbers, NUMBER_BETA2) + number(numbers, NUMBER_GAIN2) * (g * g);
            first[i] = m;
            second[i] = v;
            p -= rate * m / (sqrt(v) / number(numbers, NUMBER_ROOT) + number(numbers, NUMBER_EPS));
        } else if (rules & RULE_MOMENTUM) {
            real v = first[i] * beta1 + g;
            first[i] = v;
            p -= rate * (rules & RULE_NESTEROV ? g + beta1 * v : v);
        } else {
            p -= rate * g;
        }
        values[i] = p;
    }
    if (rules & RULE_AVERAGE) average[i] += number(numbers, NUMBER_AVERAGE_GAIN) * (p - average[i]);
}
