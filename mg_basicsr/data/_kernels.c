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

#include "_crops.h"

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
    if (end > begin)
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
