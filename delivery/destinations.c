#include "destinations.h"

#ifdef DLV_HAVE_S3
#define S3 (&dlv_s3_ops)
#else
#define S3 NULL
#endif
#ifdef DLV_HAVE_POSTGRES
#define POSTGRES (&dlv_postgres_ops)
#else
#define POSTGRES NULL
#endif
#ifdef DLV_HAVE_REDSHIFT
#define REDSHIFT (&dlv_redshift_ops)
#else
#define REDSHIFT NULL
#endif
#ifdef DLV_HAVE_SEARCH
#define SEARCH (&dlv_search_ops)
#define HTTP (&dlv_http_ops)
#else
#define SEARCH NULL
#define HTTP NULL
#endif

static const struct {
	const struct dlv_destination_ops *ops;
	const char *needs;
} kinds[] = {
	[DLV_TO_S3] = {S3, "libcurl, expat and zlib"},
	[DLV_TO_REDSHIFT] = {REDSHIFT, "libpq, libcurl, expat and zlib"},
	[DLV_TO_POSTGRES] = {POSTGRES, "libpq"},
	[DLV_TO_SEARCH] = {SEARCH, "libcurl and yajl"},
	[DLV_TO_HTTP] = {HTTP, "libcurl and yajl"},
};

int
dlv_destination_find(
	enum dlv_kind kind, const struct dlv_destination_ops **out_ops, struct slk_error *err)
{
	if ((size_t)kind >= sizeof(kinds) / sizeof(kinds[0]))
		return slk_fail(err, SLK_UNSUPPORTED, "this kind of destination is not known");
	if (kinds[kind].ops == NULL)
		return slk_fail(err, SLK_UNSUPPORTED,
			"this sealock-deliverd was built without %s, which this kind of "
			"destination needs",
			kinds[kind].needs);
	*out_ops = kinds[kind].ops;
	return SLK_OK;
}
