/* safetensors.h - reading and rewriting model files in the safetensors layout.
 *
 * File = le64(header length) ‖ JSON header ‖ tensor data. Only F32 tensors are taken; a model's
 * values are the data region read as floats in file order (offsets must tile the region with no
 * gap or overlap). Header at most 1 MiB. Format: huggingface.co/docs/safetensors. */
#ifndef MR_WIRE_SAFETENSORS_H
#define MR_WIRE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MR_SAFETENSORS_HEADER_MAX  (1u << 20)
#define MR_SAFETENSORS_TENSORS_MAX 4096

/* Who trains a tensor: wire/tensor_parts.h. */
enum mr_tensor_part {
    MR_PART_TRAINED = 0, /* rounds do */
    MR_PART_FROZEN = 1,
    MR_PART_PERSONAL = 2,
};

struct mr_tensor {
    const char *name;
    uint32_t dims[8];
    unsigned rank;
    size_t offset; /* in floats, from the start of the data */
    size_t count;  /* floats */
    uint8_t part;  /* enum mr_tensor_part */
};

/* Values that are trained and lie one behind the other. */
struct mr_tensor_span {
    size_t first; /* of the values that rounds train, its first one's number */
    size_t at;    /* in floats, from the start of the data */
    size_t count;
};

/* A parsed view; owns only `tensors` with their names and `spans`, not the bytes. The data of a
 * foreign file may start at any byte: read floats with memcpy. */
struct mr_safetensors {
    size_t data_offset; /* bytes from the start of the file */
    size_t count;       /* floats in all */
    size_t trained;     /* D: of them, that rounds train */
    unsigned tensor_count, span_count;
    struct mr_tensor *tensors;    /* by rising offset */
    struct mr_tensor_span *spans; /* likewise */
};

/* Parses a whole file in memory; of "__metadata__" only who trains which tensor is read. 0 or -1
 * with an error. On success mr_safetensors_fini is owed. */
int mr_safetensors_parse(struct mr_safetensors *model, const uint8_t *bytes, size_t length,
                         struct mr_error *error);
void mr_safetensors_fini(struct mr_safetensors *model);

/* Writes the length field and header for named F32 tensors: name, dims and rank are read, offsets
 * are computed in the order given. Padded with spaces so that the data starts at a multiple of 64;
 * the same tensors give the same bytes everywhere (docs/wire-format.md, "Model files"). malloc'd;
 * *length set. NULL: out of memory, or a header above MR_SAFETENSORS_HEADER_MAX. */
uint8_t *mr_safetensors_header(const struct mr_tensor *tensors, unsigned tensor_count,
                               size_t *length);

/* A text of its "__metadata__", with a NUL. 0; 1: it has none of that name; -1: no such file, or
 * the text has no room. */
int mr_safetensors_text(const uint8_t *bytes, size_t length, const char *name, char *out,
                        size_t room);

/* The file once more with a text in its "__metadata__", in place of one of that name (NULL: without
 * it): the same tensors and data under another hash. The same file and text give the same bytes
 * everywhere. malloc'd; NULL with an error. */
uint8_t *mr_safetensors_rename(const uint8_t *bytes, size_t length, const char *name,
                               const char *text, size_t *renamed_length, struct mr_error *error);

#endif
