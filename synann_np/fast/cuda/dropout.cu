// Masks of dropout, see counter_random.cu: 0 where the bits of an element are below the threshold p 2³², else scale.
// low, high: the halves of the key of this step.

#define DROPOUT_THREADS 256

extern "C" __global__ void __launch_bounds__(DROPOUT_THREADS)
dropout_mask(const uint32 *__restrict__ low, const uint32 *__restrict__ high, const uint32 *__restrict__ threshold,
             real *mask, int E, real scale)
{
    int e = blockIdx.x * DROPOUT_THREADS + threadIdx.x;
    if (e < E) mask[e] = mix32(mix32((uint32)e ^ *low) ^ *high) < *threshold ? (real)0 : scale;
}
