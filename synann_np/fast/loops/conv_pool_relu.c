/* Convolution, dropout of channels, 2×2 pooling and relu as one, and its gradients. Formulas and letters:
conv_pool_relu.py.

x (N, C, H, W)   dy (N, F, h, w) by its strides   weight (F, C, KH, KW)   mask (N, F)   y, won (N, F, h, w).
Compile with -DREAL=float or double, -DC=, -DKH= and -DKW=, and for one size of images, else 0, -DHEIGHT= and -DWIDTH=. */

#include "vectors.h"

enum { FILTERS = REGISTERS == 32 ? 5 : 2, NOBODY = 4 }; /* NOBODY: in `won`, where y = 0: no gradient */

typedef __typeof__(__builtin_choose_expr(sizeof(REAL) == 4, (int32_t)0, (int64_t)0)) integer;
typedef integer integers __attribute__((vector_size(BYTES))); /* a comparison: −1 where it holds, else 0 */
#define CHOOSE(condition, a, b) (((condition) & (integers)(a)) | (~(condition) & (integers)(b)))

const int64_t filters_at_once = FILTERS;

struct forward_job {
    int64_t F, height, width, band, space; /* band: pooling rows taken at a time; space: numbers of a thread in memory */
    const REAL *x, *weight, *bias, *mask;
    REAL *y, *memory;
    uint8_t *won;
};

/* z_ab = Σ_cij weight_cij patch_c,i+a,j+b for some filters and a vector of windows; `step` numbers from pixel to pixel */
INLINE void convolve(const REAL *patch, int64_t step, const REAL *const weight[FILTERS], vec z[FILTERS][4])
{
    for (int c = 0, k = 0; c < C; c++, patch += (KW + 1) * step)
        for (int i = 0; i < KH; i++, k += KW, patch += (KW + 1) * step)
            UNROLL for (int j = 0; j < KW; j++) {
                vec x[4];
                UNROLL for (int ab = 0; ab < 4; ab++) x[ab] = *(const vec *)(patch + (ab / 2 * (KW + 1) + j + ab % 2) * step);
                UNROLL for (int f = 0; f < FILTERS; f++)
                    UNROLL for (int ab = 0; ab < 4; ab++) z[f][ab] += weight[f][k + j] * x[ab];
            }
}

/* y = max(0, scale (max_ab z_ab + bias)), and who won: of equal ones the first, but a NaN before all */
INLINE void pool(const vec z[4], REAL bias, REAL scale, vec *y, integers *won)
{
    vec most = z[0];
    integers first = {0}, none = {0};
    UNROLL for (int ab = 1; ab < 4; ab++) {
        integers better = (z[ab] > most) | (z[ab] != z[ab]);
        most = (vec)CHOOSE(better, z[ab], most);
        first = CHOOSE(better, none + ab, first);
    }
    most = scale * (most + bias);
    *won = CHOOSE(most > 0, first, none + NOBODY);
    *y = (vec)(~(most <= 0) & (integers)most);
}

/* An image. */
void forward(const struct forward_job *job, int64_t n, int64_t seat)
{
    const struct forward_job j = *job;
    const int64_t H = HEIGHT ? HEIGHT : j.height, W = WIDTH ? WIDTH : j.width, h = (H - KH + 1) / 2, w = (W - KW + 1) / 2;
    const int64_t half = (W + 1) / 2, step = UP(j.band * w, LANES);
    REAL *halves = j.memory + seat * j.space;                         /* (C, H, 2, half): even columns, odd ones */
    REAL *patches = halves + UP(C * H * 2 * half, LANES) + LANES;     /* (C, KH + 1, KW + 1, step) and a vector */
    REAL *best = patches + C * (KH + 1) * (KW + 1) * step + LANES;    /* (FILTERS, step): y, */
    integer *winners = (integer *)(best + FILTERS * step);            /* and who won */
    for (int64_t row = 0; row < C * H; row++) {
        const REAL *restrict x = j.x + (n * C * H + row) * W;
        REAL *restrict even = halves + row * 2 * half, *restrict odd = even + half;
        for (int64_t k = 0; k < W / 2; k++) even[k] = x[2 * k], odd[k] = x[2 * k + 1];
        if (W % 2) even[W / 2] = x[W - 1];
    }
    for (int64_t top = 0; top < h; top += j.band) {
        const int64_t rows = LEAST(j.band, h - top), windows = rows * w;
        REAL *to = patches;
        for (int64_t c = 0; c < C; c++)
            for (int64_t r = 0; r <= KH; r++)
                UNROLL for (int64_t s = 0; s <= KW; s++, to += step)
                    for (int64_t row = 0; row < rows; row++) {
                        const REAL *x = halves + (2 * (c * H + 2 * (top + row) + r) + s % 2) * half + s / 2;
                        for (int64_t k = 0; k < w; k += LANES) /* what is too much is overwritten */
                            *(vec *)(to + row * w + k) = *(const vec *)(x + k);
                    }
        for (int64_t next = 0, count = 0, f[FILTERS]; next < j.F; count = 0) {
            for (; next < j.F && count < FILTERS; next++) {
                if (!j.mask || j.mask[n * j.F + next] != 0) f[count++] = next;
                else memset(j.y + ((n * j.F + next) * h + top) * w, 0, windows * sizeof(REAL)); /* `won` will not be read */
            }
            if (!count) continue;
            const REAL *weight[FILTERS];
            UNROLL for (int k = 0; k < FILTERS; k++) weight[k] = j.weight + f[LEAST(k, count - 1)] * C * KH * KW;
            for (int64_t v = 0; v < windows; v += LANES) {
                vec z[FILTERS][4] = {0};
                convolve(patches + v, step, weight, z);
                UNROLL for (int k = 0; k < FILTERS; k++) {
                    const int64_t one = f[LEAST(k, count - 1)];
                    const REAL bias = j.bias ? j.bias[one] : 0, scale = j.mask ? j.mask[n * j.F + one] : 1;
                    pool(z[k], bias, scale, (vec *)(best + k * step + v), (integers *)(winners + k * step + v));
                }
            }
            for (int64_t k = 0; k < count; k++) {
                const int64_t at = ((n * j.F + f[k]) * h + top) * w;
                memcpy(j.y + at, best + k * step, windows * sizeof(REAL));
                for (int64_t t = 0; t < windows; t++) j.won[at + t] = (uint8_t)winners[k * step + t];
            }
        }
    }
}

/* Backward has the channels innermost, padded to CP. A row of a filter is KW CP numbers, and ROW with the rest of its last
vector. */
#define POWER(n) ((n) <= 1 ? 1 : (n) <= 2 ? 2 : (n) <= 4 ? 4 : (n) <= 8 ? 8 : 16) /* 2^k ≥ n */
#define CP (C < LANES ? POWER(C) : UP(C, LANES))
#define ROW UP(KW * CP, LANES)

const int64_t channels = CP, row_of_filter = ROW;

struct backward_job {
    int64_t N, F, height, width, dn, df, dh, dw, chunks, space;
    const REAL *x, *dy, *mask, *weight; /* weight (F, KH, ROW) */
    const uint8_t *won;
    REAL *dweight, *dx, *memory;        /* dweight: of each chunk; dx (N, H, W, CP) or NULL; memory: of each thread */
    double *dbias;                      /* of each chunk (F) */
};

/* dweight_fcij += Σ dy x_c,i,j and dx_c,i,j += dy weight_fcij, counted from the pixel of each window. dx may be NULL. */
INLINE void add_gradients(int64_t W, int64_t count, const int64_t *pixel, const REAL *dy, const REAL *x,
                          const REAL *weight, REAL *dweight, REAL *dx)
{
    for (int64_t v = 0; v < ROW; v += LANES) {
        vec sum[KH] = {0}, w[KH];
        UNROLL for (int i = 0; i < KH; i++) w[i] = *(const vec *)(weight + i * ROW + v);
        for (int64_t t = 0; t < count; t++) {
            const int64_t at = pixel[t] + v;
            UNROLL for (int i = 0; i < KH; i++) sum[i] += dy[t] * *(const vec *)(x + at + i * W * CP);
            if (dx) UNROLL for (int i = 0; i < KH; i++) *(vec *)(dx + at + i * W * CP) += dy[t] * w[i];
        }
        UNROLL for (int i = 0; i < KH; i++) *(vec *)(dweight + i * ROW + v) += sum[i];
    }
}

/* A chunk of the batch, with sums of its own. */
void backward(const struct backward_job *job, int64_t chunk, int64_t seat)
{
    const struct backward_job j = *job;
    const int64_t H = HEIGHT ? HEIGHT : j.height, W = WIDTH ? WIDTH : j.width, h = (H - KH + 1) / 2, w = (W - KW + 1) / 2;
    const int64_t pixels = H * W * CP, in_window[] = {0, CP, W * CP, (W + 1) * CP, 0};
    REAL *x = j.memory + seat * j.space, *dx = x + UP(pixels, LANES) + LANES; /* of an image; a patch may end behind it */
    REAL *dy = dx + UP(pixels, LANES) + LANES;
    int64_t *pixel = (int64_t *)(dy + UP(h * w, LANES) + LANES); /* the first that the winner has seen */
    memset(x, 0, (dy - x) * sizeof(REAL));
    for (int64_t n = j.N * chunk / j.chunks; n < j.N * (chunk + 1) / j.chunks; n++) {
        for (int64_t c = 0; c < C; c++)
            for (int64_t k = 0; k < H * W; k++) x[k * CP + c] = j.x[(n * C + c) * H * W + k];
        if (j.dx) memset(dx, 0, pixels * sizeof(REAL));
        for (int64_t f = 0; f < j.F; f++) {
            const REAL scale = j.mask ? j.mask[n * j.F + f] : 1, *from = j.dy + n * j.dn + f * j.df;
            const uint8_t *won = j.won + (n * j.F + f) * h * w;
            if (scale == 0) continue;
            int64_t count = 0;
            for (int64_t row = 0; row < h; row++)
                for (int64_t column = 0; column < w; column++, won++) { /* without a branch: nobody could predict it */
                    dy[count] = scale * from[row * j.dh + column * j.dw];
                    pixel[count] = 2 * (row * W + column) * CP + in_window[*won];
                    count += *won != NOBODY;
                }
            double sum[LANES] = {0};
            memset(dy + count, 0, sizeof(vec));
            for (int64_t t = 0; t < count; t += LANES)
                UNROLL for (int l = 0; l < LANES; l++) sum[l] += dy[t + l];
            for (int l = 0; l < LANES; l++) j.dbias[chunk * j.F + f] += sum[l];
            REAL *dweight = j.dweight + (chunk * j.F + f) * KH * ROW;
            if (j.dx) add_gradients(W, count, pixel, dy, x, j.weight + f * KH * ROW, dweight, dx);
            else add_gradients(W, count, pixel, dy, x, j.weight + f * KH * ROW, dweight, 0);
        }
        if (j.dx) memcpy(j.dx + n * pixels, dx, pixels * sizeof(REAL));
    }
}
