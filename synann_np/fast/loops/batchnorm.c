/* Batch normalisation, with or without relu behind it, in two passes over each channel. Formulas: batchnorm.py.

x, y, dy, dx (C, M), or (M, C) with by_columns: C channels of M values. Compile with -DREAL=float or double. */

#include "vectors.h"

#include <math.h>

/* LINE: numbers computed at a time. BLOCK: lines added in REAL, before the sums go on in float64. */
enum { LINE = 32, BLOCK = 16 };

struct job {
    int64_t C, M, by_columns, relu;
    int64_t of_batch; /* mean and var are those of the batch */
    int64_t M_of_all; /* backward: values of a channel of the whole batch if dweight and dbias are given, else 0 */
    double eps;
    const REAL *x, *dy, *y, *weight, *bias;
    REAL *mean, *var, *out, *dweight, *dbias; /* out: y or dx; NULL: only sums */
};

/* What a part walks over: lines of `width` numbers, the last of `rest`, `stride` apart. by_columns: one number of each
of LINE channels; else LINE numbers of one channel. */
struct part {
    int64_t first, channels, start, stride, lines, width, rest;
};

INLINE struct part make_part(const struct job *job, int64_t part)
{
    int64_t first = part * LINE, width = LEAST(LINE, job->C - first), M = job->M;
    if (job->by_columns) return (struct part){first, width, first, job->C, M, width, width};
    return (struct part){part, 1, part * M, LINE, UP(M, LINE) / LINE, LINE, (M - 1) % LINE + 1};
}

/* Runs the statement for the numbers of some lines, each at `at`, the k-th of its line. */
#define EACH(begin, end, statement)                                                       \
    for (int64_t line = begin; line < LEAST(end, p.lines); line++) {                      \
        int64_t base = p.start + line * p.stride, some = line + 1 < p.lines ? p.width : p.rest; \
        if (some == LINE)                                                                 \
            for (int64_t k = 0; k < LINE; k++) { int64_t at = base + k; statement; }          \
        else                                                                              \
            for (int64_t k = 0; k < some; k++) { int64_t at = base + k; statement; }          \
    }

/* f_sum_c += Σ f and g_sum_c += Σ g over each channel */
#define SUMS(f_sum, f, g_sum, g)                                                          \
    for (int64_t begin = 0; begin < p.lines; begin += BLOCK) {                            \
        REAL of_f[LINE] = {0}, of_g[LINE] = {0};                                          \
        EACH(begin, begin + BLOCK, of_f[k] += f; of_g[k] += g)                            \
        for (int k = 0; k < p.width; k++) {                                               \
            f_sum[k % p.channels] += of_f[k];                                             \
            g_sum[k % p.channels] += of_g[k];                                             \
        }                                                                                 \
    }

/* of_batch: mean and var are written first, else read. */
void forward(const struct job *job, int64_t number, int64_t seat)
{
    struct part p = make_part(job, number);
    const REAL *restrict x = job->x;
    REAL *restrict y = job->out, mean[LINE], scale[LINE], shift[LINE];
    double total[LINE] = {0}, squares[LINE] = {0}, none[LINE] = {0};
    const REAL least = job->relu ? 0 : -INFINITY;
    if (job->of_batch) {
        SUMS(total, x[at], none, 0)
        for (int k = 0; k < p.width; k++) mean[k] = total[k % p.channels] / job->M;
        SUMS(squares, (x[at] - mean[k]) * (x[at] - mean[k]), none, 0)
        for (int c = 0; c < p.channels; c++) job->mean[p.first + c] = mean[c], job->var[p.first + c] = squares[c] / job->M;
        if (!y) return;
    }
    for (int k = 0; k < p.width; k++) {
        int64_t c = p.first + k % p.channels;
        mean[k] = job->mean[c], shift[k] = job->bias[c], scale[k] = job->weight[c] / sqrt(job->var[c] + job->eps);
    }
    EACH(0, p.lines, REAL z = (x[at] - mean[k]) * scale[k] + shift[k]; y[at] = z <= least ? least : z)
}

/* dweight and dbias, unless M_of_all says that they are there, and dx, unless out is NULL */
void backward(const struct job *job, int64_t number, int64_t seat)
{
    struct part p = make_part(job, number);
    int relu = job->relu;
    const REAL *restrict x = job->x, *restrict dy = job->dy, *y = relu ? job->y : dy;
    REAL *restrict dx = job->out, mean[LINE], slope[LINE], along[LINE], level[LINE];
    double dbias[LINE] = {0}, dweight[LINE] = {0}, M = job->M_of_all ? job->M_of_all : job->M;
#define D (!relu | (y[at] > 0) ? dy[at] : 0) /* the gradient behind the relu */
    for (int k = 0; k < p.width; k++) mean[k] = job->mean[p.first + k % p.channels];
    if (!job->M_of_all) SUMS(dbias, D, dweight, D * (x[at] - mean[k]))
    for (int k = 0; k < p.width; k++) {
        int64_t c = p.first + k % p.channels;
        double s = 1 / sqrt(job->var[c] + job->eps);
        if (!job->M_of_all && k < p.channels) job->dbias[c] = dbias[k], job->dweight[c] = dweight[k] * s;
        slope[k] = job->weight[c] * s;
        level[k] = job->of_batch ? job->dbias[c] / M : 0;
        along[k] = job->of_batch ? job->dweight[c] * s / M : 0;
    }
    if (dx) EACH(0, p.lines, dx[at] = slope[k] * (D - level[k] - (x[at] - mean[k]) * along[k]))
}
