#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

// Swift imports neither macros with arguments nor variadic functions; these say the same as functions.

/// The bytes that a memory BIO holds; they belong to the BIO.
static inline long COpenSSL_BIO_get_mem_data(BIO *bio, char **bytes) {
    return BIO_get_mem_data(bio, bytes);
}

/// A fresh RSA key pair of `bits` bits, or NULL.
static inline EVP_PKEY *COpenSSL_RSA_gen(unsigned int bits) {
    return EVP_RSA_gen(bits);
}

/// Frees what libcrypto allocated.
static inline void COpenSSL_free(void *bytes) {
    OPENSSL_free(bytes);
}

#endif
