/* Compiled forms of the two inner loops of loading: copying a crop out of a raw clip, and converting pixels to float32.
 *
 * The package works without this module, see kernels.py; pixels are the same either way. All arguments are checked
 * here, so that no value in a file can make it read or write outside its buffers. The interpreter's lock is released
 * while pixels are copied.
 */

#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE  /* RUSAGE_THREAD */
#include <Python.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
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

/* ---- Reading a mapped file that has become shorter, or whose disk fails, is SIGBUS: here it ends the copy. ---- */

static _Thread_local sigjmp_buf failed_read;
static _Thread_local const volatile uint8_t *guarded_begin, *guarded_end; /* the file that this thread is reading */
static struct sigaction other_handler;

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const uint8_t *address = info->si_addr;
    if (guarded_begin && address >= guarded_begin && address < guarded_end)
        siglongjmp(failed_read, 1);
    if (other_handler.sa_flags & SA_SIGINFO) {
        other_handler.sa_sigaction(number, info, context);
    } else if (other_handler.sa_handler == SIG_DFL || other_handler.sa_handler == SIG_IGN) {
        signal(number, SIG_DFL);
        raise(number);
    } else {
        other_handler.sa_handler(number);
    }
}

/* Others (faulthandler) may set a handler at any time, so it is looked at before each copy; called with the lock. */
static int guard(void)
{
    struct sigaction current, ours;
    if (sigaction(SIGBUS, NULL, &current))
        return -1;
    if ((current.sa_flags & SA_SIGINFO) && current.sa_sigaction == on_bus_error)
        return 0;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = on_bus_error;
    ours.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK; /* not deferred: siglongjmp leaves the signal's mask alone */
    sigemptyset(&ours.sa_mask);
    other_handler = current;
    return sigaction(SIGBUS, &ours, NULL);
}

/* ---- Crops of raw clips; docs/store.md has the layout. ---- */

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

static int integers(PyObject *tuple, int64_t *values, Py_ssize_t count)
{
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != count) {
        PyErr_Format(PyExc_TypeError, "a tuple of %zd integers is needed", count);
        return -1;
    }
    for (Py_ssize_t n = 0; n < count; n++) {
        values[n] = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple, n));
        if (values[n] == -1 && PyErr_Occurred())
            return -1;
    }
    return 0;
}

static int within(int64_t value, int64_t least, int64_t most)
{
    return value >= least && value <= most;
}

/* Whether a crop is inside its side, the side inside the file, and the output as large as the crop. */
static int fits(const Crop *crop, int64_t start, int64_t file, int64_t out)
{
    const int64_t edge = 1 << 16, most_frames = 1 << 24; /* the limits of format.py: no product overflows */
    return within(crop->frames, 1, most_frames) && within(crop->height, 1, edge) && within(crop->width, 1, edge) &&
           within(crop->tile, 1, edge) &&
           within(crop->rows, 1, crop->height) && within(crop->columns, 1, crop->width) &&
           within(crop->top, 0, crop->height - crop->rows) && within(crop->left, 0, crop->width - crop->columns) &&
           within(crop->count, 1, most_frames) && within(crop->step, -most_frames, most_frames) &&
           within(crop->first, 0, crop->frames - 1) &&
           within(crop->first + crop->step * (crop->count - 1), 0, crop->frames - 1) &&
           crop->columns / crop->tile + 2 <= MOST_COLUMNS && start >= 0 &&
           start <= file - CHANNELS * crop->frames * crop->height * crop->width &&
           out == CHANNELS * crop->count * crop->rows * crop->columns;
}

/* Fills a Crop from (side, run, window, planes, upside_down) and takes hold of the buffer of the planes. */
static int parse(PyObject *item, const Py_buffer *file, Crop *crop, Py_buffer *planes)
{
    int64_t side[5], run[3], window[4];
    if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 5) {
        PyErr_SetString(PyExc_TypeError, "a crop is a tuple of 5 values");
        return -1;
    }
    int upside_down = PyObject_IsTrue(PyTuple_GET_ITEM(item, 4));
    if (upside_down < 0 || integers(PyTuple_GET_ITEM(item, 0), side, 5) ||
        integers(PyTuple_GET_ITEM(item, 1), run, 3) || integers(PyTuple_GET_ITEM(item, 2), window, 4) ||
        PyObject_GetBuffer(PyTuple_GET_ITEM(item, 3), planes, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE))
        return -1;
    Crop values = {
        (const uint8_t *)file->buf, side[1], side[2], side[3], side[4], run[0], run[1], run[2],
        window[0], window[1], window[2], window[3] ? window[3] : window[2], upside_down, planes->buf,
    };
    if (!fits(&values, side[0], file->len, planes->len)) {
        PyErr_SetString(PyExc_ValueError, "the crop, its side, the file and the planes do not fit each other");
        PyBuffer_Release(planes);
        return -1;
    }
    *crop = values;
    crop->side += side[0];
    return 0;
}

static PyObject *read_crops(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    Crop crops[MOST_CROPS];
    Py_buffer file, planes[MOST_CROPS];
    PyObject *result = NULL;
    if (given != 4 || !PyList_Check(arguments[1]) || PyList_GET_SIZE(arguments[1]) < 1 ||
        PyList_GET_SIZE(arguments[1]) > MOST_CROPS) {
        PyErr_SetString(PyExc_TypeError, "read_crops takes a file, a list of 1 to 16 crops, and two flags");
        return NULL;
    }
    Py_ssize_t wanted = PyList_GET_SIZE(arguments[1]), count = 0;
    int cold = PyObject_IsTrue(arguments[2]), shared = PyObject_IsTrue(arguments[3]);
    if (cold < 0 || shared < 0 || PyObject_GetBuffer(arguments[0], &file, PyBUF_SIMPLE))
        return NULL;
    while (count < wanted && !parse(PyList_GET_ITEM(arguments[1], count), &file, &crops[count], &planes[count]))
        count++;
    if (count == wanted) {
        if (guard()) {
            PyErr_SetFromErrno(PyExc_OSError);
        } else {
            volatile int waited = 0, failed = 0;
            Py_BEGIN_ALLOW_THREADS
            if (sigsetjmp(failed_read, 0) == 0) {
                guarded_begin = file.buf;
                guarded_end = guarded_begin + file.len;
                waited = copy_crops(crops, count, cold, shared);
            } else {
                failed = 1;
            }
            guarded_begin = guarded_end = NULL;
            Py_END_ALLOW_THREADS
            if (failed)
                PyErr_SetString(PyExc_EOFError, "a page of the file cannot be read");
            else
                result = PyBool_FromLong(waited);
        }
    }
    for (Py_ssize_t n = 0; n < count; n++)
        PyBuffer_Release(&planes[n]);
    PyBuffer_Release(&file);
    return result;
}

/* ---- Pixels to float32. ---- */

static void to_float32(const uint8_t *from, float *to, int64_t count)
{
    for (int64_t n = 0; n < count; n++)
        to[n] = (float)from[n] / 255.0f;
}

/* Memory of this size is new, and its pages are made when they are written: large ones, where the system has them. */
static void ask_for_large_pages(void *memory, int64_t size)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = 2 << 20;
    uintptr_t begin = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)memory + (uintptr_t)size) / page * page;
    if (size >= LARGE && end > begin)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#endif
}

static PyObject *pixels_to_float32(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    Py_buffer from, to;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "pixels_to_float32 takes 2 arguments");
        return NULL;
    }
    if (PyObject_GetBuffer(arguments[0], &from, PyBUF_C_CONTIGUOUS))
        return NULL;
    if (PyObject_GetBuffer(arguments[1], &to, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)) {
        PyBuffer_Release(&from);
        return NULL;
    }
    int fit = from.itemsize == 1 && to.itemsize == sizeof(float) && to.len / (Py_ssize_t)sizeof(float) == from.len;
    if (fit) {
        Py_BEGIN_ALLOW_THREADS
        ask_for_large_pages(to.buf, to.len);
        to_float32(from.buf, to.buf, from.len);
        Py_END_ALLOW_THREADS
    } else {
        PyErr_SetString(PyExc_ValueError, "uint8 and float32 of one size are needed");
    }
    PyBuffer_Release(&to);
    PyBuffer_Release(&from);
    if (!fit)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"read_crops", (PyCFunction)(void (*)(void))read_crops, METH_FASTCALL, "Copy crops out of a raw clip."},
    {"pixels_to_float32", (PyCFunction)(void (*)(void))pixels_to_float32, METH_FASTCALL, "Convert pixels to float32."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_kernels", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernels(void)
{
    return PyModule_Create(&definition);
}
