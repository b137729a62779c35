package com.example.menu;

/** Something with a label on it. Its parameters tell boxes apart, and no more. */
parcelable Box<T> {
    String label;
    int count = 1;
}
