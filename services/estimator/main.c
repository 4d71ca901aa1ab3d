#include "estimator/estimator.h"

int main(int argc, char **argv)
{
    return service_main(argc, argv, &estimator_ops);
}
