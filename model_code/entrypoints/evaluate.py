"""Entry point of an evaluation job: the packaged code is beside this file."""

from model_code.failure import processing_file, told_in

with told_in(processing_file()):
    from model_code.evaluate import main

    main()
