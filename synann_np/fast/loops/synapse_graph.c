/* y_ni = α_i x_ni P_ni,  P_ni = ∏_j q_nij,  q_nij = 1 − β_ij v_nj, and its gradients. Formulas: synapse_graph.py.

x, y (N, n)   v (N, m)   alpha (n)   beta (n, m). Compile with -DREAL=float or double. */

#include "synapse_factors.h"

struct forward_job {
    int64_t N, n, m, step; /* step: factors between two looks */
    double most;           /* of |R| */
    const REAL *v, *beta;
    const double *rows;    /* v, 0 behind the last row */
    double *tiles;         /* of each thread: COLUMNS × TILE of beta, then N × TILE of mantissas, then of exponents */
    REAL *R;               /* (N, n): the product of the factors that are not 0 */
    uint8_t *zeros;        /* (N, n): how many are 0, at most 2 */
};

static REAL without_zeros(int64_t m, const REAL *v, const REAL *beta, double most, uint8_t *zeros)
{
    double R = 1;
    int64_t exponent = 0;
    int found = 0, shift;
    for (int64_t j = 0; j < m; j++) {
        double q = 1 - (double)beta[j] * v[j];
        if (q == 0) found++;
        else R = frexp(R * q, &shift), exponent += shift;
    }
    *zeros = LEAST(found, 2);
    R = ldexp(R, exponent < -4000 ? -4000 : exponent > 4000 ? 4000 : (int)exponent);
    return R > most ? most : R < -most ? -most : R;
}

/* A tile of units. */
void forward(const struct forward_job *job, int64_t part, int64_t seat)
{
    int64_t n = job->n, m = job->m, N_up = UP(job->N, ROWS), first = part * TILE, units = LEAST(TILE, n - first);
    double *beta = job->tiles + seat * TILE * (COLUMNS + 2 * N_up), *mantissa = beta + COLUMNS * TILE;
    int64_t *exponent = (int64_t *)(mantissa + N_up * TILE);
    for (int64_t k = 0; k < N_up * TILE; k++) mantissa[k] = 1, exponent[k] = 0;
    memset(beta, 0, COLUMNS * TILE * sizeof(double));
    for (int64_t start = 0; start < m; start += COLUMNS) {
        int64_t count = LEAST(COLUMNS, m - start);
        for (int64_t i = 0; i < units; i++)
            for (int64_t j = 0; j < count; j++) beta[j * TILE + i] = job->beta[(first + i) * m + start + j];
        for (int64_t r = 0; r < N_up; r += ROWS)
            multiply(count, job->step, job->rows + r * m + start, m, (const double_vec *)beta,
                     (double_vec *)(mantissa + r * TILE), (long_vec *)(exponent + r * TILE));
    }
    for (int64_t r = 0; r < job->N; r++) {
        REAL R[TILE];
        int odd = scaled(mantissa + r * TILE, exponent + r * TILE, job->most, R);
        for (int64_t i = 0, at = r * n + first; i < units; i++, at++) {
            job->R[at] = R[i], job->zeros[at] = 0;
            if (odd) job->R[at] = without_zeros(m, job->v + r * m, job->beta + (first + i) * m, job->most, job->zeros + at);
        }
    }
}

struct backward_job {
    int64_t N, n, m, row, way; /* way: 2 or 3 terms of 1/q; 0: all factors are far from 0; −1: they may be anything */
    double most, scale;    /* scale: of t and sole */
    const REAL *v, *beta;
    const REAL *t, *sole;  /* N rows, `row` numbers apart: dy α x R of the units without a zero factor, and of those with one */
    vec *memory;           /* of each thread 2 × N */
    REAL *dv, *dbeta;
};

/* What `quotients` computes, where factors may be 0 or nearly so: one by one in float64, clipped as in the plain layer. */
static void careful_quotients(const struct backward_job *job, const REAL (*v)[LANES], const REAL (*beta)[LANES],
                              const REAL *t, const REAL *sole, REAL (*sum)[LANES], REAL (*dbeta)[LANES])
{
    double most = job->most / job->scale;
    for (int i = 0; i < UNITS; i++) {
        double d[LANES] = {0};
        for (int64_t r = 0; r < job->N; r++)
            for (int l = 0; l < LANES; l++) {
                double b = beta[i][l], x = v[r][l], q = 1 - b * x;
                double c = q != 0 ? t[r * job->row + i] / q : sole[r * job->row + i];
                c = c > most ? most : c < -most ? -most : c;
                double s = c * b;
                d[l] += c * x;
                sum[r][l] += s > most ? most : s < -most ? -most : s;
            }
        for (int l = 0; l < LANES; l++) dbeta[i][l] = d[l];
    }
}

/* LANES columns. */
void backward(const struct backward_job *job, int64_t part, int64_t seat)
{
    int64_t N = job->N, n = job->n, m = job->m, j = part * LANES, columns = LEAST(LANES, m - j);
    vec *v = job->memory + seat * 2 * N, *sum = v + N;
    memset(v, 0, 2 * N * sizeof(vec));
    for (int64_t r = 0; r < N; r++) memcpy(v + r, job->v + r * m + j, columns * sizeof(REAL));
    for (int64_t i = 0; i < n; i += UNITS) {
        vec beta[UNITS] = {0}, dbeta[UNITS];
        const REAL *t = job->t + i, *sole = job->sole + i;
        for (int64_t k = 0; k < LEAST(UNITS, n - i); k++) memcpy(beta + k, job->beta + (i + k) * m + j, columns * sizeof(REAL));
        if (job->way == 2) quotients(2, N, v, beta, t, job->row, sum, dbeta);
        else if (job->way == 3) quotients(3, N, v, beta, t, job->row, sum, dbeta);
        else if (job->way == 0) quotients(0, N, v, beta, t, job->row, sum, dbeta);
        else careful_quotients(job, (void *)v, (void *)beta, t, sole, (void *)sum, (void *)dbeta);
        for (int64_t k = 0; k < LEAST(UNITS, n - i); k++)
            for (int64_t l = 0; l < columns; l++) job->dbeta[(i + k) * m + j + l] = -job->scale * dbeta[k][l];
    }
    for (int64_t r = 0; r < N; r++)
        for (int64_t l = 0; l < columns; l++) job->dv[r * m + j + l] = -job->scale * sum[r][l];
}
