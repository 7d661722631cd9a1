/* Copying of crops out of the raw file of a clip; docs/store.md has the layout. Part of _kernels.c. */

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#define INLINE static inline __attribute__((always_inline))
#else
#define PREFETCH(address) ((void)0)
#define INLINE static inline
#endif

#ifndef RUSAGE_THREAD
#define RUSAGE_THREAD RUSAGE_SELF
#endif

enum { CHANNELS = 3, MOST_COLUMNS = 512, MOST_CROPS = 16, LINE = 64, STAGE = 1 << 16, LARGE = 1 << 20 };

typedef struct {
    const uint8_t *side; /* first byte of the side */
    int64_t frames, height, width, tile;
    int64_t first, step, count;       /* of the frames */
    int64_t top, left, rows, columns; /* of the crop */
    int upside_down;
    uint8_t *out;
} Crop;

typedef struct { /* a tile's part of the rows of a crop */
    const uint8_t *pixels;
    int64_t width, left, size;
} Part;

typedef struct { /* a row of tiles */
    int64_t begin, height, first, end; /* first row in the frame, rows of the tiles, and the crop's rows in them */
} TileRow;

static TileRow tile_row(const Crop *crop, int64_t begin)
{
    int64_t height = begin + crop->tile <= crop->height ? crop->tile : crop->height - begin;
    int64_t first = crop->top > begin ? crop->top - begin : 0;
    int64_t end = crop->top + crop->rows - begin;
    TileRow row = {begin, height, first, end < height ? end : height};
    return row;
}

static int64_t first_tile_row(const Crop *crop)
{
    return crop->top / crop->tile * crop->tile;
}

static int parts_of(const Crop *crop, TileRow row, Part *parts)
{
    int count = 0;
    int64_t right = crop->left + crop->columns;
    for (int64_t begin = crop->left / crop->tile * crop->tile; begin < right; begin += crop->tile) {
        Part *part = &parts[count++];
        part->width = begin + crop->tile <= crop->width ? crop->tile : crop->width - begin;
        part->left = crop->left > begin ? crop->left - begin : 0;
        part->size = (right - begin < part->width ? right - begin : part->width) - part->left;
        part->pixels = crop->side + CHANNELS * crop->frames * (row.begin * crop->width + begin * row.height);
    }
    return count;
}

INLINE void copy_bytes(uint8_t *to, const uint8_t *from, int64_t size)
{
    if (size >= 32) { /* pieces of a constant size are moves; the last one overlaps */
        for (int64_t done = 0; done + 32 < size; done += 32)
            memcpy(to + done, from + done, 32);
        memcpy(to + size - 32, from + size - 32, 32);
    } else if (size >= 16) {
        memcpy(to, from, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else {
        for (int64_t n = 0; n < size; n++)
            to[n] = from[n];
    }
}

/* Copies a row of a tile, and fetches the same row of the next plane, `ahead` bytes further. */
INLINE void copy_row(uint8_t *to, const uint8_t *from, int64_t size, int64_t ahead)
{
    PREFETCH(from + ahead);
    if (size != LINE)
        PREFETCH(from + ahead + size - 1);
    copy_bytes(to, from, size);
}

/* Rows are copied across all tiles, so that memory is written in order. Tiles of new stores have a constant size. */
static void copy_rows(const Crop *crop, TileRow row, const Part *parts, int count, int64_t plane, uint8_t *to)
{
    const uint8_t *from[MOST_COLUMNS];
    const Part left = parts[0], right = parts[count - 1];
    int64_t stride = crop->columns, tile = crop->tile;
    if (crop->upside_down) {
        to += (row.end - row.first - 1) * stride;
        stride = -stride;
    }
    for (int n = 0; n < count; n++)
        from[n] = parts[n].pixels + (plane * row.height + row.first) * parts[n].width + parts[n].left;
    for (int64_t y = 0; y < row.end - row.first; y++, to += stride) {
        uint8_t *inner = to + left.size;
        copy_row(to, from[0] + y * left.width, left.size, row.height * left.width);
        if (tile == LINE) {
            for (int n = 1; n < count - 1; n++, inner += LINE)
                copy_row(inner, from[n] + y * LINE, LINE, row.height * LINE);
        } else {
            for (int n = 1; n < count - 1; n++, inner += tile)
                copy_row(inner, from[n] + y * tile, tile, row.height * tile);
        }
        if (count > 1)
            copy_row(inner, from[count - 1] + y * right.width, right.size, row.height * right.width);
    }
}

/* Copies to memory that another process will read, past this processor's caches: it need not be fetched first. */
static void copy_past_caches(uint8_t *to, const uint8_t *from, int64_t size)
{
#ifdef __SSE2__
    int64_t done = (int64_t)(-(uintptr_t)to & 15);
    done = done < size ? done : size;
    memcpy(to, from, (size_t)done);
    for (; done + 16 <= size; done += 16)
        _mm_stream_si128((__m128i *)(to + done), _mm_loadu_si128((const __m128i *)(from + done)));
    memcpy(to + done, from + done, (size_t)(size - done));
#else
    memcpy(to, from, (size_t)size);
#endif
}

static void announce(const Crop *crop)
{
    int64_t page = sysconf(_SC_PAGESIZE);
    int64_t last = crop->first + crop->step * (crop->count - 1);
    int64_t earliest = crop->first < last ? crop->first : last;
    int64_t length = (crop->first < last ? last : crop->first) - earliest + 1;
    Part parts[MOST_COLUMNS];
    for (int64_t begin = first_tile_row(crop); begin < crop->top + crop->rows; begin += crop->tile) {
        TileRow row = tile_row(crop, begin);
        int count = parts_of(crop, row, parts);
        for (int n = 0; n < count; n++) {
            int64_t frame = CHANNELS * row.height * parts[n].width;
            uintptr_t start = (uintptr_t)(parts[n].pixels + earliest * frame);
            uintptr_t aligned = start - start % (uintptr_t)page;
            madvise((void *)aligned, start + (uintptr_t)(length * frame) - aligned, MADV_WILLNEED);
        }
    }
}

static long pages_waited_for(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_majflt;
}

static void copy_crop(const Crop *crop, int shared)
{
    static _Thread_local uint8_t stage[STAGE];
    int64_t plane_size = crop->rows * crop->columns;
    shared = shared && CHANNELS * crop->count * plane_size >= LARGE;
    Part parts[MOST_COLUMNS];
    for (int64_t begin = first_tile_row(crop); begin < crop->top + crop->rows; begin += crop->tile) {
        TileRow row = tile_row(crop, begin);
        int count = parts_of(crop, row, parts);
        int64_t rows = row.end - row.first, top = row.begin + row.first - crop->top;
        if (crop->upside_down)
            top = crop->rows - top - rows;
        int staged = shared && rows * crop->columns <= STAGE;
        for (int64_t n = 0; n < CHANNELS * crop->count; n++) {
            int64_t plane = CHANNELS * (crop->first + n / CHANNELS * crop->step) + n % CHANNELS;
            uint8_t *to = crop->out + n * plane_size + top * crop->columns;
            copy_rows(crop, row, parts, count, plane, staged ? stage : to);
            if (staged)
                copy_past_caches(to, stage, rows * crop->columns);
        }
    }
#ifdef __SSE2__
    _mm_sfence();
#endif
}

/* Copies crops; returns whether a page had to be read from disk. */
static int copy_crops(const Crop *crops, Py_ssize_t count, int cold, int shared)
{
    long before = pages_waited_for();
    if (!cold) { /* one byte of the first crop tells, mostly, whether the others are worth announcing */
        Part parts[MOST_COLUMNS];
        const Crop *crop = &crops[0];
        TileRow row = tile_row(crop, first_tile_row(crop));
        parts_of(crop, row, parts);
        *(volatile const uint8_t *)(parts[0].pixels + CHANNELS * crop->first * row.height * parts[0].width);
        cold = pages_waited_for() != before;
    }
    for (Py_ssize_t n = 0; cold && n < count; n++)
        announce(&crops[n]);
    for (Py_ssize_t n = 0; n < count; n++)
        copy_crop(&crops[n], shared);
    return pages_waited_for() != before;
}
