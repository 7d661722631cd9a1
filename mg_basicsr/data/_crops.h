/* Copying of crops out of the raw file of a clip; docs/store.md has the layout. Part of _kernels.c. */

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch((address), 0, 2) /* to the second level: the first is too small for it */
#define INLINE static inline __attribute__((always_inline))
#define ALIGNED(bytes) __attribute__((aligned(bytes)))
#else
#define PREFETCH(address) ((void)0)
#define INLINE static inline
#define ALIGNED(bytes)
#endif

#ifndef RUSAGE_THREAD
#define RUSAGE_THREAD RUSAGE_SELF
#endif

enum { CHANNELS = 3, MOST_COLUMNS = 512, MOST_CROPS = 16, LINE = 64, STAGE = 1 << 10 };
enum { SMALL = 1 << 16 }; /* bytes of a crop that the next process finds in the caches */

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

/* Copies to memory that another process will read, past this processor's caches: it need not be fetched first. */
INLINE void copy_past_caches(uint8_t *to, const uint8_t *from, int64_t size)
{
#ifdef __SSE2__
    int64_t head = (int64_t)(-(uintptr_t)to & (LINE - 1));
    head = head < size ? head : size;
    memcpy(to, from, (size_t)head);
    to += head, from += head, size -= head;
    for (int64_t lines = size / LINE; lines > 0; lines--, to += LINE, from += LINE) {
        const __m128i *part = (const __m128i *)from;
        __m128i first = _mm_loadu_si128(part), second = _mm_loadu_si128(part + 1);
        __m128i third = _mm_loadu_si128(part + 2), fourth = _mm_loadu_si128(part + 3);
        _mm_stream_si128((__m128i *)to, first); /* whole lines, else the processor has to fetch them after all */
        _mm_stream_si128((__m128i *)to + 1, second);
        _mm_stream_si128((__m128i *)to + 2, third);
        _mm_stream_si128((__m128i *)to + 3, fourth);
    }
    size %= LINE;
#endif
    memcpy(to, from, (size_t)size);
}

/* Copies a plane's part of a row of tiles. Rows are copied across all tiles, so that memory is written in order, and
 * where there is a stage, from there past the caches. Tiles of new stores have a constant size. */
static void copy_plane(
    const Crop *crop, TileRow row, const Part *parts, int count, int64_t plane, uint8_t *to, uint8_t *stage)
{
    const uint8_t *from[MOST_COLUMNS];
    const Part left = parts[0], right = parts[count - 1];
    const int64_t rows = row.end - row.first, tile = crop->tile, stride = crop->columns;
    const int64_t top = crop->upside_down ? row.end - 1 : row.first, step = crop->upside_down ? -1 : 1;
    const int64_t at_once = stage ? STAGE / stride : rows;
    for (int n = 0; n < count; n++)
        from[n] = parts[n].pixels + (plane * row.height + top) * parts[n].width + parts[n].left;
    for (int64_t begin = 0; begin < rows; begin += at_once, to += at_once * stride) {
        const int64_t end = begin + at_once < rows ? begin + at_once : rows;
        uint8_t *out = stage ? stage : to;
        for (int64_t line = begin; line < end; line++, out += stride) {
            const int64_t y = line * step;
            uint8_t *inner = out + left.size;
            copy_row(out, from[0] + y * left.width, left.size, row.height * left.width);
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
        if (stage)
            copy_past_caches(to, stage, (end - begin) * stride);
    }
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

/* Pages that this thread has waited for, and blocks that it has had read, for itself or ahead. */
static long disk_reads(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_majflt + usage.ru_inblock;
}

/* Looks at one byte of each tile of a crop, whose bytes are one range in the file: mostly all in memory, or none. */
static int must_be_read(const Crop *crop, long before)
{
    Part parts[MOST_COLUMNS];
    for (int64_t begin = first_tile_row(crop); begin < crop->top + crop->rows; begin += crop->tile) {
        TileRow row = tile_row(crop, begin);
        int count = parts_of(crop, row, parts);
        for (int n = 0; n < count; n++)
            *(volatile const uint8_t *)(parts[n].pixels + CHANNELS * crop->first * row.height * parts[n].width);
        if (disk_reads() != before)
            return 1;
    }
    return 0;
}

static void copy_crop(const Crop *crop, int shared)
{
    uint8_t memory[STAGE] ALIGNED(STAGE); /* in one page: writing across the border of two can take 50 ns */
    int64_t plane_size = crop->rows * crop->columns;
    int staged = shared && CHANNELS * crop->count * plane_size >= SMALL && crop->columns <= STAGE;
    Part parts[MOST_COLUMNS];
    for (int64_t begin = first_tile_row(crop); begin < crop->top + crop->rows; begin += crop->tile) {
        TileRow row = tile_row(crop, begin);
        int count = parts_of(crop, row, parts);
        int64_t rows = row.end - row.first, top = row.begin + row.first - crop->top;
        if (crop->upside_down)
            top = crop->rows - top - rows;
        for (int64_t n = 0; n < CHANNELS * crop->count; n++) {
            int64_t plane = CHANNELS * (crop->first + n / CHANNELS * crop->step) + n % CHANNELS;
            uint8_t *to = crop->out + n * plane_size + top * crop->columns;
            copy_plane(crop, row, parts, count, plane, to, staged ? memory : NULL);
        }
    }
#ifdef __SSE2__
    _mm_sfence();
#endif
}

/* Copies crops; returns whether something had to be read from disk. */
static int copy_crops(const Crop *crops, Py_ssize_t count, int cold, int shared)
{
    long before = disk_reads();
    for (Py_ssize_t n = 0; !cold && n < count; n++)
        cold = must_be_read(&crops[n], before);
    for (Py_ssize_t n = 0; cold && n < count; n++)
        announce(&crops[n]);
    for (Py_ssize_t n = 0; n < count; n++)
        copy_crop(&crops[n], shared);
    return disk_reads() != before;
}
