/* Batch normalisation, with or without relu behind it, in two passes over each channel. Formulas: batchnorm.py.

x, y, dy, dx (C, M), or (M, C) with by_columns: C channels of M values. Compile with -DREAL=float or double. */

#include "threads.h"
#include "vectors.h"

#include <math.h>

/* LINE: numbers computed at a time. BLOCK: lines added in REAL, before the sums go on in float64. */
enum { LINE = 16, BLOCK = 32, COLUMNS = 64, FEW_COLUMNS = 512, FEW_VALUES = 1 << 18 };

struct norm_job {
    int64_t C, M;
    int by_columns, relu, batch_statistics;
    int64_t M_of_all; /* values of a channel of the whole batch, if this is a part of it and its sums are given; else 0 */
    const REAL *x, *dy, *y, *weight, *bias;
    REAL *mean, *var, *out, *dweight, *dbias;
    double eps;
};

/* What one part of the work walks over: one channel, or some columns, as lines of `width` numbers, `stride` apart. The
k-th of a line belongs to channel first + k, or with one channel to `first`. */
struct channels {
    int64_t first, count, start, stride, lines, width, stop;
};

INLINE int64_t columns_of_part(int64_t C)
{
    return C < FEW_COLUMNS ? LINE : COLUMNS;
}

INLINE struct channels of_part(const struct norm_job *job, int64_t part)
{
    int64_t C = job->C, M = job->M, columns = columns_of_part(C), first = part * columns, count = LEAST(columns, C - first);
    if (job->by_columns) return (struct channels){first, count, first, C, M, count, M * C};
    return (struct channels){part, 1, part * M, LINE, UP(M, LINE) / LINE, LINE, (part + 1) * M};
}

INLINE int64_t channel(const struct norm_job *job, const struct channels *c, int64_t k)
{
    return c->first + (job->by_columns ? LEAST(k, c->count - 1) : 0);
}

/* Runs the statement for the numbers of the lines from `begin` on, each at `at`, the k-th of its line. */
#define EACH(begin, end, statement)                                                                                    \
    for (int64_t line = begin; line < LEAST(end, c.lines); line++)                                                     \
        for (int64_t from = 0; from < c.width; from += LINE) {                                                         \
            int64_t base = c.start + line * c.stride, some = LEAST(LINE, LEAST(c.width - from, c.stop - base - from)); \
            if (some == LINE)                                                                                          \
                for (int64_t k = from; k < from + LINE; k++) { int64_t at = base + k; statement; } \
            else                                                                                                       \
                for (int64_t k = from; k < from + some; k++) { int64_t at = base + k; statement; }                     \
        }

/* f_sum_k += Σ f and g_sum_k += Σ g over each channel */
#define SUMS(f_sum, f, g_sum, g)                                                                                       \
    for (int64_t begin = 0; begin < c.lines; begin += BLOCK) {                                                         \
        REAL of_f[COLUMNS] = {0}, of_g[COLUMNS] = {0};                                                                 \
        EACH(begin, begin + BLOCK, of_f[k] += f; of_g[k] += g)                                                         \
        for (int64_t k = 0; k < c.width; k++) {                                                                        \
            f_sum[job->by_columns ? k : 0] += of_f[k];                                                                 \
            g_sum[job->by_columns ? k : 0] += of_g[k];                                                                 \
        }                                                                                                              \
    }

static void forward_part(void *of, int64_t part, int64_t seat)
{
    const struct norm_job *job = of;
    const REAL *restrict x = job->x;
    struct channels c = of_part(job, part);
    REAL *restrict y = job->out, mean[COLUMNS], scale[COLUMNS], shift[COLUMNS];
    (void)seat;
    if (job->batch_statistics) {
        double total[COLUMNS] = {0}, squares[COLUMNS] = {0}, none[COLUMNS] = {0};
        SUMS(total, x[at], none, 0)
        for (int64_t k = 0; k < c.count; k++) job->mean[c.first + k] = total[k] / job->M;
        for (int64_t k = 0; k < c.width; k++) mean[k] = job->mean[channel(job, &c, k)];
        SUMS(squares, (x[at] - mean[k]) * (x[at] - mean[k]), none, 0)
        for (int64_t k = 0; k < c.count; k++) job->var[c.first + k] = squares[k] / job->M;
        if (!y) return;
    }
    for (int64_t k = 0; k < c.width; k++) {
        int64_t at = channel(job, &c, k);
        scale[k] = job->weight[at] / sqrt(job->var[at] + job->eps), shift[k] = job->bias[at], mean[k] = job->mean[at];
    }
    if (job->relu) { EACH(0, c.lines, REAL z = (x[at] - mean[k]) * scale[k] + shift[k]; y[at] = z <= 0 ? 0 : z) }
    else { EACH(0, c.lines, y[at] = (x[at] - mean[k]) * scale[k] + shift[k]) }
}

/* FEW_VALUES are sooner done than handed from one core's cache to another's. */
static void run_channels(part_function *part, struct norm_job *job, int64_t threads)
{
    int64_t columns = job->by_columns ? columns_of_part(job->C) : 1;
    run_parts(part, job, (job->C + columns - 1) / columns, job->C * job->M < FEW_VALUES ? 1 : threads);
}

/* mean, var (C): of the batch, written, with batch_statistics; else read. With y = 0 nothing else is computed. */
int forward(int64_t threads, int64_t C, int64_t M, int64_t by_columns, int64_t relu, int64_t batch_statistics, double eps,
             const REAL *x, const REAL *weight, const REAL *bias, REAL *mean, REAL *var, REAL *y)
{
    struct norm_job job = {.C = C, .M = M, .by_columns = by_columns, .relu = relu, .batch_statistics = batch_statistics,
                           .x = x, .weight = weight, .bias = bias, .mean = mean, .var = var, .out = y, .eps = eps};
    run_channels(forward_part, &job, threads);
    return 1;
}

/* d_nc, the gradient behind the relu */
INLINE REAL behind_relu(REAL dy, REAL y)
{
    return y > 0 ? dy : 0;
}

static void backward_part(void *of, int64_t part, int64_t seat)
{
    const struct norm_job *job = of;
    const REAL *restrict x = job->x, *restrict dy = job->dy, *restrict y = job->y;
    struct channels c = of_part(job, part);
    REAL *restrict dx = job->out, mean[COLUMNS], slope[COLUMNS], along[COLUMNS], level[COLUMNS];
    double dbias[COLUMNS] = {0}, dweight[COLUMNS] = {0};
    (void)seat;
    for (int64_t k = 0; k < c.width; k++) mean[k] = job->mean[channel(job, &c, k)];
    if (!job->M_of_all && job->relu) { SUMS(dbias, behind_relu(dy[at], y[at]), dweight, behind_relu(dy[at], y[at]) * (x[at] - mean[k])) }
    else if (!job->M_of_all) { SUMS(dbias, dy[at], dweight, dy[at] * (x[at] - mean[k])) }
    for (int64_t k = 0; k < c.width; k++) {
        int64_t at = channel(job, &c, k), sum = at - c.first;
        double s = 1 / sqrt(job->var[at] + job->eps);
        double db = job->M_of_all ? job->dbias[at] : dbias[sum], dw = job->M_of_all ? job->dweight[at] : dweight[sum] * s;
        double M = job->M_of_all ? job->M_of_all : job->M;
        job->dbias[at] = db, job->dweight[at] = dw;
        slope[k] = job->weight[at] * s;
        level[k] = job->batch_statistics ? db / M : 0;
        along[k] = job->batch_statistics ? dw * s / M : 0;
    }
    if (!dx) return;
    if (job->relu) {
        EACH(0, c.lines, dx[at] = slope[k] * (behind_relu(dy[at], y[at]) - level[k] - (x[at] - mean[k]) * along[k]))
    } else {
        EACH(0, c.lines, dx[at] = slope[k] * (dy[at] - level[k] - (x[at] - mean[k]) * along[k]))
    }
}

/* y: of forward, read with relu only. dx = 0: only dweight and dbias are computed. M_of_all > 0: they are given, those of a
batch of M_of_all values a channel, of which this is a part, and only dx is computed. */
int backward(int64_t threads, int64_t C, int64_t M, int64_t by_columns, int64_t relu, int64_t batch_statistics,
              int64_t M_of_all, double eps, const REAL *x, const REAL *dy, const REAL *y, const REAL *weight, REAL *mean,
              REAL *var, REAL *dx, REAL *dweight, REAL *dbias)
{
    struct norm_job job = {.C = C, .M = M, .by_columns = by_columns, .relu = relu, .batch_statistics = batch_statistics,
                           .M_of_all = M_of_all, .x = x, .dy = dy, .y = y, .weight = weight, .mean = mean, .var = var, .out = dx,
                           .dweight = dweight, .dbias = dbias, .eps = eps};
    run_channels(backward_part, &job, threads);
    return 1;
}
