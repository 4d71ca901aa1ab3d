/*
 * limits: every bound that is no configuration key, with its reason and what happens there.
 */
#ifndef DYN_COMMON_LIMITS_H
#define DYN_COMMON_LIMITS_H

/* Names. Heroku's app names have at most 30 characters, process types 128. */
#define DYN_NAME_MAX 128   /* app, controller, input, sink; longer: the file is refused */
#define DYN_REASON_MAX 160 /* words of a failed poll on the bus; cut */

/* A greater value is no demand but a fault of its source, told as an error: 1 PB, in bytes. */
#define DYN_VALUE_MAX 1e15

/* Configuration: libyaml is quadratic in depth, so depth and size are bounded before it runs. */
#define DYN_CONFIG_FILE_MAX 262144    /* bytes a file; refused */
#define DYN_CONFIG_DEPTH_MAX 32       /* refused */
#define DYN_CONFIG_FILES_MAX 4096     /* files an `include` may bring; refused */
#define DYN_CONFIG_ACCOUNTS_MAX 1000  /* refused */
#define DYN_CONFIG_APPS_MAX 10000     /* refused */
#define DYN_CONFIG_CONTROLLERS_MAX 32 /* an app; refused */
#define DYN_CONFIG_INPUTS_MAX 32      /* a controller; refused */
#define DYN_CONFIG_STEPS_MAX 64       /* of an input's table; refused */
#define DYN_CONFIG_SINKS_MAX 64       /* of a file; refused */
#define DYN_PLANS_MAX 64              /* of an add-on's table; refused */
#define DYN_SECRET_MAX 16384          /* bytes of one secret; refused */
#define DYN_PARTITIONS_MAX 64         /* refused */

/* Bus. */
#define DYN_BATCH_SAMPLES_MAX 256 /* samples in one values entry */
#define DYN_ENTRY_MAX 65536       /* bytes of one entry; dropped and counted */
#define DYN_PACK_DEPTH_MAX 8      /* nesting of a message; dropped and counted */
#define DYN_PUBLISH_MAX 256       /* targets in one call of dyn_publish: more blocks Redis */
#define DYN_PINS_MAX 64           /* active pins of a partition; a further pin is refused */
#define DYN_EVENTS_WAITING 4096   /* a program's events on their way; the oldest goes, logged */
#define DYN_EVENTS_KEPT 5000      /* entries of the stream `events`; Redis drops the oldest */
#define DYN_BUS_READ_COUNT 1000   /* entries in one reply: client-output-buffer-limit */
#define DYN_BUS_PENDING_MAX 4096  /* commands unanswered on one connection; DYN_BUSY */
#define DYN_BUS_FOREIGN_REPLY_MAX 1048576 /* bytes of a reply of a server that is not ours */
#define DYN_BUS_COMMAND_TIMEOUT_MS 5000   /* then the connection is thrown away */
#define DYN_BUS_KEPT_TIMEOUT_MS 2000      /* of WAIT: what waits behind it must not time out */

/* Windows: a longer one keeps a merged, never lower, maximum (see estimator/window.h). */
#define DYN_WINDOW_SPANS_MAX 4096

/* HTTP. */
#define DYN_HTTP_BODY_MAX 1048576        /* bytes of an answer unless the caller says less */
#define DYN_HTTP_CONNECTIONS_MAX 256     /* of one client; more wait in its queue */
#define DYN_HTTP_HOST_CONNECTIONS_MAX 64 /* to one host: unbounded made 1,975 resolver threads */
#define DYN_HTTP_WAITING_MAX 65536       /* requests in the queue; DYN_BUSY */
#define DYN_HTTP_REQUEST_MAX 1048576     /* bytes of URL, headers and body sent; refused */
#define DYN_HTTP_REQUEST_HEADERS_MAX 32  /* refused */
#define DYN_HTTP_URL_MAX 8192            /* refused */
#define DYN_HTTP_HEADERS_MAX 128         /* header lines of an answer; DYN_TOOBIG */
#define DYN_HTTP_HEADERS_BYTES_MAX 65536 /* DYN_TOOBIG */
#define DYN_HTTP_USER_TIMEOUT_MS 5000    /* TCP_USER_TIMEOUT: sent, never acknowledged */
#define DYN_HTTP_CONNECT_TIMEOUT_MS 3000
#define DYN_HTTP_TOTAL_TIMEOUT_MS 10000

/* Programs started by `exec`. */
#define DYN_EXEC_OUTPUT_MAX 4096 /* bytes of standard output; more is an error */

/* Recorded series. */
#define DYN_TRACE_FILE_MAX 67108864 /* 64 MiB; refused */
#define DYN_TRACE_ROWS_MAX 4000000  /* 64 MB of memory; refused */

/* Heroku (Dev Center, dyno sizes and limits): 100 dynos a Cedar app, 255 a Fir app. */
#define DYN_QUANTITY_MAX 255
#define DYN_HEROKU_BODY_MAX (1024 * 1024)

#endif
