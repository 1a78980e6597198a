/* The pixel-wise Gaussian blur, forward and backward, one pass over the image each. blur.py says what it computes.

   A pixel's Gaussian is separable: with a_k = exp(-k^2 s / 2), and V_ij the sum of the pixels at distance i in rows
   and j in columns (four of them; two or one on the axes),

       x' = N / T^2,   N = sum_i a_i sum_j a_j V_ij,   T = 1 + 2 (a_1 + ... + a_R).

   The sums along a row, H_j(x) = x(x - j) + x(x + j), are made once and kept for the 2 R + 1 rows in use: nothing
   larger than a few rows is ever stored. R, half of the window, is given to the compiler, which unrolls by it; LANES
   pixels of a row are computed at a time. Rows in `Work` are padded to whole lanes. */

#include <stdlib.h>
#include <string.h>

#define WINDOW (2 * R + 1)
#define SOURCE_ROWS (2 * R + 1)
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")
#if defined __AVX512F__
#define LANES 16
#elif defined __AVX__
#define LANES 8
#else
#define LANES 4
#endif

typedef float Floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int Ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    long colours, maps, height, width;
} Shape;

typedef struct {
    long pitch;                 /* floats from row to row: the width in whole lanes */
    float *padded;              /* a row of the image with R reflected pixels on either side */
    float *ring;                /* H_0 .. H_R of WINDOW rows */
    float *rows[WINDOW];        /* where in the ring the rows y - R .. y + R are */
    float *precision, *slope, *out;
    float *sources;             /* backward: u a_0 .. u a_R, then a_1 .. a_R, of WINDOW rows; u = g / T^2 */
    float *products, *gathered; /* backward: what a row gets from the rows around it, by distance in columns */
} Work;

INLINE Floats load(const float *from) { return *(const Floats *)from; }
INLINE void store(float *to, Floats value) { *(Floats *)to = value; }

INLINE long reflected(long index, long size) {
    index = index < 0 ? -index : index;
    return index < size ? index : 2 * (size - 1) - index;
}

INLINE void *open_work(Work *w, long width) {
    const long pitch = (width + LANES - 1) / LANES * LANES, wide = pitch + 4 * R + 2 * LANES;
    float *memory = calloc(wide * (R + 3) + pitch * (WINDOW * (R + 1 + SOURCE_ROWS) + 3), sizeof(float));
    float *next = memory;
    if (!memory) return NULL;
    w->pitch = pitch;
    w->padded = next, next += wide;
    w->gathered = next, next += wide;
    w->products = next, next += wide * (R + 1);
    w->ring = next, next += pitch * WINDOW * (R + 1);
    w->sources = next, next += pitch * WINDOW * SOURCE_ROWS;
    w->precision = next, next += pitch;
    w->slope = next, next += pitch;
    w->out = next;
    return memory;
}

/* exp(x) for x <= 0 to 2 ulp: 2^n times a polynomial on [-ln(2)/2, ln(2)/2]; below -87 it is exp(-87), about 1e-38. */
INLINE Floats exponential(Floats x) {
    const Floats least = (Floats){} - 87.0f;
    Ints low = x < least;
    x = (Floats)(((Ints)x & ~low) | ((Ints)least & low));
    Ints n = __builtin_convertvector(x * 1.44269504f - 0.5f, Ints);
    Floats whole = __builtin_convertvector(n, Floats);
    Floats f = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    Floats p = f * 1.98756915e-4f + 1.39819995e-3f;
    p = p * f + 8.33345190e-3f;
    p = p * f + 4.16657956e-2f;
    p = p * f + 1.66666655e-1f;
    p = p * f + 0.5f;
    return (p * f * f + f + 1.0f) * (Floats)((n + 127) << 23);
}

/* a[k] = q^(k^2), each from the last, as k^2 - (k - 1)^2 = 2 k - 1. Returns 1 / T. */
INLINE Floats weights(Floats precision, Floats a[R + 1]) {
    Floats q = exponential(precision * -0.5f), square = q * q, odd = q, half = {};
    a[0] = (Floats){} + 1.0f;
    UNROLLED for (int k = 1; k <= R; k++) {
        a[k] = a[k - 1] * odd;
        odd *= square;
        half += a[k];
    }
    return 1.0f / (1.0f + 2.0f * half);
}

INLINE void row_sums(const float *plane, long y, Shape n, Work *w, float *sums) {
    const float *row = plane + reflected(y, n.height) * n.width;
    memcpy(w->padded + R, row, n.width * sizeof(float));
    for (int k = 1; k <= R; k++) {
        w->padded[R - k] = row[k];
        w->padded[R + n.width - 1 + k] = row[n.width - 1 - k];
    }
    for (long x = 0; x < n.width; x += LANES) {
        const float *centre = w->padded + R + x;
        store(sums + x, load(centre));
        UNROLLED for (int j = 1; j <= R; j++) store(sums + j * w->pitch + x, load(centre - j) + load(centre + j));
    }
}

/* Bring the ring to row y: only the newest of its rows is computed, except at the top. */
INLINE void advance(const float *plane, long y, Shape n, Work *w) {
    const long block = (R + 1) * w->pitch;
    for (long k = y ? WINDOW - 1 : 0; k < WINDOW; k++)
        row_sums(plane, y + k - R, n, w, w->ring + (y + k) % WINDOW * block);
    for (int k = 0; k < WINDOW; k++) w->rows[k] = w->ring + (y + k) % WINDOW * block;
}

/* V_ij of the pixels from column x on. */
INLINE Floats four(const Work *w, int i, int j, long x) {
    const long at = j * w->pitch + x;
    if (i == 0) return load(w->rows[R] + at);
    return load(w->rows[R - i] + at) + load(w->rows[R + i] + at);
}

/* One image: planes of height x width; `maps` is 1 or `colours`. Returns 0, or 1 where there is no memory. */
int dfgame_blur_forward(
    const float *images, const float *precision, float *blurred, long colours, long maps, long height, long width
) {
    const Shape n = { colours, maps, height, width };
    const long plane = height * width;
    Work w;
    void *memory = open_work(&w, width);
    if (!memory) return 1;
    for (long c = 0; c < colours; c++) {
        for (long y = 0; y < height; y++) {
            advance(images + c * plane, y, n, &w);
            memcpy(w.precision, precision + (maps == 1 ? 0 : c) * plane + y * width, width * sizeof(float));
            for (long x = 0; x < width; x += LANES) {
                Floats a[R + 1], once = weights(load(w.precision + x), a), sum = {};
                UNROLLED for (int i = 0; i <= R; i++) {
                    Floats inner = {};
                    UNROLLED for (int j = 0; j <= R; j++) inner += a[j] * four(&w, i, j, x);
                    sum += a[i] * inner;
                }
                store(w.out + x, sum * once * once);
            }
            memcpy(blurred + c * plane + y * width, w.out, width * sizeof(float));
        }
    }
    free(memory);
    return 0;
}

INLINE void add(float *to, const float *values, long count) {
    long x = 0;
    for (; x + LANES <= count; x += LANES) store(to + x, load(to + x) + load(values + x));
    for (; x < count; x++) to[x] += values[x];
}

/* Row y of the image and the slope of its blur: the slope of the map, into w->out, and the source row. */
INLINE void source_row(Work *w, long y, long width) {
    float *source = w->sources + y % WINDOW * SOURCE_ROWS * w->pitch;
    for (long x = 0; x < width; x += LANES) {
        Floats a[R + 1], once = weights(load(w->precision + x), a), sum = {}, moment = {}, spread = {};
        UNROLLED for (int i = 0; i <= R; i++) {
            Floats inner = {}, inner_moment = {};
            UNROLLED for (int j = 0; j <= R; j++) {
                Floats part = a[j] * four(w, i, j, x);
                inner += part;
                inner_moment += (float)(j * j) * part;
            }
            sum += a[i] * inner;
            moment += a[i] * (inner_moment + (float)(i * i) * inner);
            spread += (float)(i * i) * a[i];
        }
        Floats u = load(w->slope + x) * once * once;
        store(w->out + x, u * (2.0f * sum * spread * once - 0.5f * moment));
        UNROLLED for (int k = 0; k <= R; k++) store(source + k * w->pitch + x, u * a[k]);
        UNROLLED for (int k = 1; k <= R; k++) store(source + (R + k) * w->pitch + x, a[k]);
    }
}

/* The blur's transpose: a pixel t gives a_i a_j u(t) to those at distance i, j. Row y, which may lie up to R outside
   the image, from the source rows y - R .. y + R, into w->gathered from column -R on. */
INLINE void gather_row(Work *w, long y, long width) {
    const long wide = w->pitch + 4 * R + 2 * LANES, block = SOURCE_ROWS * w->pitch;
    const float *of_row[WINDOW];
    for (int k = 0; k < WINDOW; k++) of_row[k] = w->sources + (y + k + WINDOW - R) % WINDOW * block;
    for (long x = 0; x < width; x += LANES) {
        Floats sum[R + 1];
        UNROLLED for (int j = 0; j <= R; j++) sum[j] = load(of_row[R] + j * w->pitch + x);
        UNROLLED for (int i = 1; i <= R; i++) {
            Floats above = load(of_row[R - i] + (R + i) * w->pitch + x);
            Floats below = load(of_row[R + i] + (R + i) * w->pitch + x);
            UNROLLED for (int j = 0; j <= R; j++)
                sum[j] += above * load(of_row[R - i] + j * w->pitch + x) + below * load(of_row[R + i] + j * w->pitch + x);
        }
        UNROLLED for (int j = 0; j <= R; j++) store(w->products + j * wide + 2 * R + x, sum[j]);
    }
    for (long x = 0; x < width + 2 * R; x += LANES) {
        const float *centre = w->products + R + x;
        Floats sum = load(centre);
        UNROLLED for (int j = 1; j <= R; j++) sum += load(centre + j * wide - j) + load(centre + j * wide + j);
        store(w->gathered + x, sum);
    }
    for (int k = 1; k <= R; k++) {
        w->gathered[R + k] += w->gathered[R - k];
        w->gathered[R + width - 1 - k] += w->gathered[R + width - 1 + k];
    }
}

/* The gradients of one image, unless `slope_images` is NULL, and of its map, from the slope g of its blurred image. */
int dfgame_blur_backward(
    const float *images, const float *precision, const float *slope, float *slope_images, float *slope_precision,
    long colours, long maps, long height, long width
) {
    const Shape n = { colours, maps, height, width };
    const long plane = height * width, row = width * sizeof(float), source = SOURCE_ROWS * sizeof(float);
    Work w;
    void *memory = open_work(&w, width);
    if (!memory) return 1;
    memset(slope_precision, 0, maps * plane * sizeof(float));
    for (long c = 0; c < colours; c++) {
        const long map = (maps == 1 ? 0 : c) * plane;
        float *slope_plane = slope_images ? slope_images + c * plane : NULL;
        if (slope_plane) memset(slope_plane + width, 0, R * row);
        memset(w.sources, 0, WINDOW * source * w.pitch);
        for (long y = 0; y < height + 2 * R; y++) {
            if (y < height) {
                advance(images + c * plane, y, n, &w);
                memcpy(w.precision, precision + map + y * width, row);
                memcpy(w.slope, slope + c * plane + y * width, row);
                source_row(&w, y, width);
                add(slope_precision + map + y * width, w.out, width);
            } else {
                memset(w.sources + y % WINDOW * SOURCE_ROWS * w.pitch, 0, source * w.pitch);
            }
            if (!slope_plane) continue;
            const long done = y - R;
            gather_row(&w, done, width);
            if (done == 0 || (done > R && done < height))
                memcpy(slope_plane + done * width, w.gathered + R, row);
            else
                add(slope_plane + reflected(done, height) * width, w.gathered + R, width);
        }
    }
    free(memory);
    return 0;
}
