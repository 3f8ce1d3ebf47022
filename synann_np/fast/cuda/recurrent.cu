// What recurrent layers share. One block a row, all of its steps inside: the states of a row stay in shared memory, and
// four lanes share a unit. Steps: as in layers/recurrent.py.

#define RNN_THREADS 256
#define RNN_UNITS 1024  // at most

// dy_t of a unit. The layer's output is the state of the last D steps: of all T, or of one, as (N, D, I).
__device__ inline real output_gradient(const real *__restrict__ dy, int t, int i, int T, int D, int I)
{
    int step = t - (T - D);
    return step < 0 ? (real)0 : dy[((int64)blockIdx.x * D + step) * I + i];
}

// Whether no gradient passes from a step to the one before: its distance from the end is a multiple of cut; 0: never.
__device__ inline bool is_cut(int t, int T, int cut) { return t == 0 || (cut > 0 && (T - t) % cut == 0); }
