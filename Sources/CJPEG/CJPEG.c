// libjpeg reports errors by longjmp, which must not cross Swift frames; here it crosses none.
#include "CJPEG.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

// A progressive file with more scans is probably malicious (the limit is that of TurboJPEG's TJFLAG_LIMITSCANS).
enum { MOST_SCANS = 500 };

typedef struct {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf end;
  char *message;
  // The bytes are those of a header; more may follow.
  int is_header;
  // All rows are decoded; later errors do not affect them.
  int is_whole;
  // The bytes ended before the end marker of the image.
  int has_no_end;
  // The bytes in place of the end marker are not a marker.
  int ends_in_padding;
  // A bit for each component with a scan.
  unsigned seen;
} Decoder;

static void fail(j_common_ptr info) {
  Decoder *decoder = (Decoder *)info;
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  snprintf(decoder->message, CJPEG_MESSAGE, "%s", text);
  longjmp(decoder->end, 1);
}

static void reject(Decoder *decoder, const char *reason) {
  snprintf(decoder->message, CJPEG_MESSAGE, "%s", reason);
  longjmp(decoder->end, 1);
}

// Some warnings are harmless and leave all rows intact; others mean damage, where libjpeg invents missing data.
static void note(j_common_ptr info, int level) {
  Decoder *decoder = (Decoder *)info;
  if (level >= 0) return;
  switch (info->err->msg_code) {
  case JWRN_JFIF_MAJOR:
  case JWRN_ADOBE_XFORM:
  case JWRN_NOT_SEQUENTIAL:
    return;
  case JWRN_EXTRANEOUS_DATA: {
    // The second parameter is the marker that follows. Before a restart marker, data was skipped that should be
    // decoded.
    int marker = info->err->msg_parm.i[1];
    if (marker >= JPEG_RST0 && marker <= JPEG_RST0 + 7) fail(info);
    // libjpeg inserts the missing end marker.
    decoder->ends_in_padding = decoder->has_no_end && marker == JPEG_EOI;
    return;
  }
  case JWRN_JPEG_EOF:
    if (decoder->is_header) fail(info);
    decoder->has_no_end = 1;
    return;
  default:
    fail(info);
  }
}

static void say_nothing(j_common_ptr info) { (void)info; }

static void watch(j_common_ptr info) {
  Decoder *decoder = (Decoder *)info;
  if (decoder->info.input_scan_number > MOST_SCANS) reject(decoder, "it has more than 500 scans");
  for (int i = 0; i < decoder->info.comps_in_scan; i++) {
    decoder->seen |= 1u << decoder->info.cur_comp_info[i]->component_index;
  }
}

// The caller must have set `end`.
static void begin(Decoder *decoder, const uint8_t *bytes, size_t count) {
  jpeg_create_decompress(&decoder->info);
  decoder->info.progress = &decoder->progress;
  decoder->progress.progress_monitor = watch;
  jpeg_mem_src(&decoder->info, bytes, count);
  jpeg_read_header(&decoder->info, TRUE);
}

static void prepare(Decoder *decoder, char *message) {
  memset(decoder, 0, sizeof *decoder);
  decoder->info.err = jpeg_std_error(&decoder->errors);
  decoder->errors.error_exit = fail;
  decoder->errors.emit_message = note;
  decoder->errors.output_message = say_nothing;
  decoder->message = message;
}

static int channels_of(const struct jpeg_decompress_struct *info) {
  switch (info->jpeg_color_space) {
  case JCS_GRAYSCALE: return 1;
  case JCS_RGB: case JCS_YCbCr: return 3;
  case JCS_CMYK: case JCS_YCCK: return 4;
  default: return 0;
  }
}

int cjpeg_read_header(const uint8_t *bytes, size_t count, CJPEGHeader *header, char message[CJPEG_MESSAGE]) {
  Decoder decoder;
  prepare(&decoder, message);
  decoder.is_header = 1;
  if (setjmp(decoder.end)) {
    jpeg_destroy_decompress(&decoder.info);
    return 0;
  }
  begin(&decoder, bytes, count);
  struct jpeg_decompress_struct *info = &decoder.info;
  header->width = (int)info->image_width;
  header->height = (int)info->image_height;
  header->channels = channels_of(info);
  header->held = 0;
  if (header->channels == 0) {
    snprintf(message, CJPEG_MESSAGE, "its %d channels are none of grey, colour and CMYK", info->num_components);
    longjmp(decoder.end, 1);
  }
  // A baseline file may have several scans, too, and is then kept as a whole.
  if (jpeg_has_multiple_scans(info)) {
    for (int i = 0; i < info->num_components; i++) {
      const jpeg_component_info *component = &info->comp_info[i];
      size_t across = component->width_in_blocks + component->h_samp_factor;
      size_t down = component->height_in_blocks + component->v_samp_factor;
      header->held += across * down * sizeof(JBLOCK);
    }
  }
  jpeg_destroy_decompress(info);
  return 1;
}

// Checks that the scans, all of which have been read, contain all data of the rows.
static void require_scans(Decoder *decoder) {
  const struct jpeg_decompress_struct *info = &decoder->info;
  if (decoder->seen != (1u << info->num_components) - 1) reject(decoder, "one of its scans is missing");
  if (!decoder->has_no_end || info->coef_bits == NULL) return;
  for (int i = 0; i < info->num_components; i++) {
    for (int k = 0; k < DCTSIZE2; k++) {
      if (info->coef_bits[i][k] != 0) reject(decoder, "it is cut off: its last scans are missing");
    }
  }
}

int cjpeg_decode(
  const uint8_t *bytes, size_t count, int divisor, int channels, uint8_t *pixels, size_t room,
  char message[CJPEG_MESSAGE]) {
  Decoder decoder;
  prepare(&decoder, message);
  if (setjmp(decoder.end)) {
    jpeg_destroy_decompress(&decoder.info);
    return decoder.is_whole;
  }
  begin(&decoder, bytes, count);
  struct jpeg_decompress_struct *info = &decoder.info;
  info->scale_num = 1;
  info->scale_denom = (unsigned)divisor;
  info->out_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_start_decompress(info);
  if (jpeg_has_multiple_scans(info)) require_scans(&decoder);
  size_t row = (size_t)info->output_width * (size_t)channels;
  if (info->output_components != channels || row * info->output_height != room) {
    reject(&decoder, "it is not what its header says");
  }
  while (info->output_scanline < info->output_height) {
    JSAMPROW place = pixels + row * info->output_scanline;
    jpeg_read_scanlines(info, &place, 1);
  }
  decoder.is_whole = 1;
  jpeg_finish_decompress(info);
  // Incomplete files are often padded, mostly with zeros, which a decoder takes for pixels.
  if (decoder.ends_in_padding) {
    decoder.is_whole = 0;
    reject(&decoder, "its end is missing");
  }
  jpeg_destroy_decompress(info);
  return 1;
}
