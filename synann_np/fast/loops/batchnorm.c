/* Batch normalisation, with or without relu behind it, in two passes over each channel. Formulas: batchnorm.py.

x, y, dy, dx (C, M), or (M, C) with by_columns: C channels of M values. Compile with -DREAL=float or double. */

#include "threads.h"
#include "vectors.h"

#include <math.h>

enum { BLOCK = 512, COLUMNS = 16 }; /* values summed in REAL before they are added in float64; columns of a part */

struct norm_job {
    int64_t C, M;
    int by_columns, relu, batch_statistics;
    int64_t M_of_all; /* values of a channel of the whole batch, if this is a part of it and its sums are given; else 0 */
    const REAL *x, *dy, *y, *weight, *bias;
    REAL *mean, *var, *out, *dweight, *dbias;
    double eps;
};

/* Σ_m f over a channel, f a function of x[at] and dy[at]; `at` walks along a row, or down `width` columns */
#define SUM(total, f)                                                                                                  \
    for (int64_t begin = 0; begin < job->M; begin += BLOCK) {                                                          \
        REAL sum[COLUMNS] = {0};                                                                                       \
        int64_t end = LEAST(begin + BLOCK, job->M);                                                                    \
        if (job->by_columns)                                                                                           \
            for (int64_t m = begin; m < end; m++)                                                                      \
                for (int64_t k = 0; k < width; k++) { int64_t at = m * job->C + first + k; sum[k] += f; }              \
        else {                                                                                                         \
            int64_t m = begin, k = 0;                                                                                  \
            for (; m + COLUMNS <= end; m += COLUMNS)                                                                   \
                UNROLL for (int64_t l = 0; l < COLUMNS; l++) { int64_t at = first * job->M + m + l; sum[l] += f; }      \
            for (; m < end; m++) { int64_t at = first * job->M + m; sum[0] += f; }                                     \
        }                                                                                                              \
        for (int64_t k = 0; k < COLUMNS; k++) total[job->by_columns ? k : 0] += sum[k];                                \
    }

#define EACH(statement)                                                                                                \
    if (job->by_columns)                                                                                               \
        for (int64_t m = 0; m < job->M; m++)                                                                           \
            for (int64_t k = 0; k < width; k++) { int64_t at = m * job->C + first + k; statement; }                    \
    else                                                                                                               \
        for (int64_t m = 0, k = 0; m < job->M; m++) { int64_t at = first * job->M + m; statement; }

static void forward_part(void *of, int64_t part, int64_t seat)
{
    const struct norm_job *job = of;
    int64_t first = job->by_columns ? part * COLUMNS : part, width = job->by_columns ? LEAST(COLUMNS, job->C - first) : 1;
    const REAL *x = job->x;
    REAL *y = job->out, mean[COLUMNS], scale[COLUMNS], shift[COLUMNS];
    (void)seat;
    if (job->batch_statistics) {
        double total[COLUMNS] = {0}, squares[COLUMNS] = {0};
        SUM(total, x[at])
        for (int64_t k = 0; k < width; k++) job->mean[first + k] = mean[k] = total[k] / job->M;
        if (job->by_columns) { SUM(squares, (x[at] - mean[k]) * (x[at] - mean[k])) }
        else { REAL of_row = mean[0]; SUM(squares, (x[at] - of_row) * (x[at] - of_row)) }
        for (int64_t k = 0; k < width; k++) job->var[first + k] = squares[k] / job->M;
        if (!y) return;
    }
    for (int64_t k = 0; k < width; k++) {
        scale[k] = job->weight[first + k] / sqrt(job->var[first + k] + job->eps);
        mean[k] = job->mean[first + k], shift[k] = job->bias[first + k];
    }
    if (job->by_columns) {
        if (job->relu) { EACH(REAL z = (x[at] - mean[k]) * scale[k] + shift[k]; y[at] = z <= 0 ? 0 : z) }
        else { EACH(y[at] = (x[at] - mean[k]) * scale[k] + shift[k]) }
    } else {
        REAL a = mean[0], b = scale[0], c = shift[0];
        if (job->relu) { EACH(REAL z = (x[at] - a) * b + c; y[at] = z <= 0 ? 0 : z; (void)k) }
        else { EACH(y[at] = (x[at] - a) * b + c; (void)k) }
    }
}

/* mean, var (C): of the batch, written, with batch_statistics; else read. With y = 0 nothing else is computed. */
void forward(int64_t threads, int64_t C, int64_t M, int64_t by_columns, int64_t relu, int64_t batch_statistics, double eps,
             const REAL *x, const REAL *weight, const REAL *bias, REAL *mean, REAL *var, REAL *y)
{
    struct norm_job job = {.C = C, .M = M, .by_columns = by_columns, .relu = relu, .batch_statistics = batch_statistics,
                           .x = x, .weight = weight, .bias = bias, .mean = mean, .var = var, .out = y, .eps = eps};
    run_parts(forward_part, &job, by_columns ? (C + COLUMNS - 1) / COLUMNS : C, threads);
}

static void backward_part(void *of, int64_t part, int64_t seat)
{
    const struct norm_job *job = of;
    int64_t first = job->by_columns ? part * COLUMNS : part, width = job->by_columns ? LEAST(COLUMNS, job->C - first) : 1;
    const REAL *x = job->x, *dy = job->dy, *y = job->y;
    REAL *dx = job->out, mean[COLUMNS], s[COLUMNS], slope[COLUMNS], along[COLUMNS], level[COLUMNS];
    double dbias[COLUMNS] = {0}, dweight[COLUMNS] = {0};
    (void)seat;
    for (int64_t k = 0; k < width; k++)
        mean[k] = job->mean[first + k], s[k] = 1 / sqrt(job->var[first + k] + job->eps);
#define D (job->relu && !(y[at] > 0) ? 0 : dy[at])
    if (job->M_of_all)
        for (int64_t k = 0; k < width; k++) dbias[k] = job->dbias[first + k], dweight[k] = job->dweight[first + k] / s[k];
    else if (job->by_columns) {
        SUM(dbias, D)
        SUM(dweight, D * (x[at] - mean[k]))
    } else {
        REAL a = mean[0];
        SUM(dbias, D)
        SUM(dweight, D * (x[at] - a))
    }
    double M = job->M_of_all ? job->M_of_all : job->M;
    for (int64_t k = 0; k < width; k++) {
        if (!job->M_of_all) job->dbias[first + k] = dbias[k], job->dweight[first + k] = dweight[k] * s[k];
        slope[k] = job->weight[first + k] * s[k];
        level[k] = job->batch_statistics ? dbias[k] / M : 0;
        along[k] = job->batch_statistics ? dweight[k] * s[k] * s[k] / M : 0;
    }
    if (!dx) return;
    if (job->by_columns) { EACH(dx[at] = slope[k] * (D - level[k] - (x[at] - mean[k]) * along[k])) }
    else {
        REAL a = mean[0], b = slope[0], c = level[0], d = along[0];
        EACH(dx[at] = b * (D - c - (x[at] - a) * d); (void)k)
    }
}

/* y: of forward, read with relu only. dx = 0: only dweight and dbias are computed. M_of_all > 0: they are given, those of a
batch of M_of_all values a channel, of which this is a part, and only dx is computed. */
void backward(int64_t threads, int64_t C, int64_t M, int64_t by_columns, int64_t relu, int64_t batch_statistics,
              int64_t M_of_all, double eps, const REAL *x, const REAL *dy, const REAL *y, const REAL *weight, REAL *mean,
              REAL *var, REAL *dx, REAL *dweight, REAL *dbias)
{
    struct norm_job job = {.C = C, .M = M, .by_columns = by_columns, .relu = relu, .batch_statistics = batch_statistics,
                           .M_of_all = M_of_all, .x = x, .dy = dy, .y = y, .weight = weight, .mean = mean, .var = var, .out = dx,
                           .dweight = dweight, .dbias = dbias, .eps = eps};
    run_parts(backward_part, &job, by_columns ? (C + COLUMNS - 1) / COLUMNS : C, threads);
}
