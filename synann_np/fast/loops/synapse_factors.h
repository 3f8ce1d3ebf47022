/* Products of many factors q_nij = 1 − β_ij v_nj, and the quotients that their gradients need. Needs REAL. */

#include "vectors.h"

#include <math.h>

#define DOUBLES ((int)(BYTES / sizeof(double)))

typedef double double_vec __attribute__((vector_size(BYTES), may_alias));
typedef int64_t long_vec __attribute__((vector_size(BYTES), may_alias));

/* FACTORS: between two looks at the exponent of a product. So many, 0 or of size 2⁻⁵³ to 2⁶³, neither over- nor underflow. */
enum { ROWS = 4, VECTORS = REGISTERS == 32 ? 4 : 2, UNITS = 4, COLUMNS = 64, FACTORS = 16 };
#define TILE (VECTORS * DOUBLES) /* units of a tile, forward */
const int64_t tile = TILE;

#define EXPONENT 0x7ff0000000000000LL
#define ONE 0x3ff0000000000000LL
#define FAR 0x7f00000000000000LL /* bits in which |p| differs from 1, unless 2⁻¹⁵ ≤ |p| < 2 */

/* p_ni *= ∏_j q_nij for ROWS rows, `row` numbers apart, a tile of units and `count` columns; v[row][j], beta[j][unit]. The
exponents of products outside [2⁻¹⁵, 2) are taken out of them. What is 0, infinite or NaN stays so. */
INLINE void multiply(int64_t count, const double *v, int64_t row, const double_vec *beta,
                     double_vec *mantissa, long_vec *exponent)
{
    double_vec p[ROWS][VECTORS];
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int k = 0; k < VECTORS; k++) p[r][k] = mantissa[r * VECTORS + k];
    while (count > 0) {
        int64_t some = LEAST(FACTORS, count);
        count -= some;
        for (int64_t j = 0; j < some; j++, v++, beta += VECTORS)
            UNROLL for (int r = 0; r < ROWS; r++)
                UNROLL for (int k = 0; k < VECTORS; k++) p[r][k] *= 1 - v[r * row] * beta[k];
        long_vec far = {0};
        int64_t any = 0;
        UNROLL for (int r = 0; r < ROWS; r++)
            UNROLL for (int k = 0; k < VECTORS; k++) far |= (long_vec)p[r][k] ^ ONE;
        UNROLL for (int l = 0; l < DOUBLES; l++) any |= far[l];
        if (!(any & FAR)) continue;
        UNROLL for (int r = 0; r < ROWS; r++)
            UNROLL for (int k = 0; k < VECTORS; k++) {
                long_vec bits = (long_vec)p[r][k], whole = (p[r][k] != 0) & (p[r][k] - p[r][k] == 0);
                exponent[r * VECTORS + k] += (bits & EXPONENT & whole) - (ONE & whole);
                p[r][k] = (double_vec)((bits & ~(EXPONENT & whole)) | (ONE & whole));
            }
    }
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int k = 0; k < VECTORS; k++) mantissa[r * VECTORS + k] = p[r][k];
}

/* R = mantissa 2^exponent, |R| ≤ most, of a tile. Returns whether a factor was 0, infinite or NaN. */
INLINE int scaled(const double *mantissa, const int64_t *exponent, double most, REAL *R)
{
    const int64_t largest = 1000LL << 52;
    int odd = 0;
    for (int i = 0; i < TILE; i++) {
        int64_t e = ONE + LEAST(MOST(exponent[i], -largest), largest);
        double p = mantissa[i], power;
        memcpy(&power, &e, sizeof power);
        odd |= !(fabs(p) >= 0x1p-15) | !(fabs(p) < 2);
        p *= power;
        R[i] = p > most ? most : p < -most ? -most : p;
    }
    return odd;
}

enum inverse { SERIES, DIVISIONS, CAREFULLY };

/* sum_nj += Σ t_ni β_ij / q_nij and dbeta_ij = Σ_n t_ni v_nj / q_nij for UNITS units i, whose t_n follow one another every
`row` numbers, and a vector of columns j. SERIES: 1/q = 1 + β_ij v_nj. DIVISIONS: one serves four, 1/q_1 =
q_2 (q_3 q_4) / (q_1 q_2 q_3 q_4), and so on. */
INLINE void quotients(enum inverse inverse, int64_t N, const vec *v, const vec beta[UNITS], const REAL *t, int64_t row,
                      vec *sum, vec dbeta[UNITS])
{
    vec b[UNITS], d[UNITS];
    UNROLL for (int i = 0; i < UNITS; i++) b[i] = beta[i], d[i] = (vec){0};
    for (int64_t r = 0; r < N; r++, t += row) {
        vec q[UNITS], s = sum[r], c[UNITS];
        if (inverse == SERIES) UNROLL for (int i = 0; i < UNITS; i++) c[i] = t[i] + t[i] * (b[i] * v[r]);
        else {
            UNROLL for (int i = 0; i < UNITS; i++) q[i] = 1 - b[i] * v[r];
            vec left = q[0] * q[1], right = q[2] * q[3], inverse = 1 / (left * right);
            vec of_left = inverse * right, of_right = inverse * left; /* 1 / left, 1 / right */
            vec one_over[UNITS] = {of_left * q[1], of_left * q[0], of_right * q[3], of_right * q[2]};
            UNROLL for (int i = 0; i < UNITS; i++) c[i] = t[i] * one_over[i];
        }
        UNROLL for (int i = 0; i < UNITS; i++) {
            d[i] += c[i] * v[r];
            s += c[i] * b[i];
        }
        sum[r] = s;
    }
    UNROLL for (int i = 0; i < UNITS; i++) dbeta[i] = d[i];
}
